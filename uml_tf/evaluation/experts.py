"""Does the model doubt the pixels that experts disagree on, and the images that they disagree on most?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from uml_tf.evaluation.expert_pixels import AREA, DISAGREEMENT, MEAN, RANKS
from uml_tf.evaluation.measure import ImageMeasure
from uml_tf.metrics.bootstrap import Estimate, bootstrap
from uml_tf.metrics.draws import rows_drawn

Array = NDArray[Any]

COLUMNS = {
    "pixels, rank correlation": "with the share of experts who differ from most; mean over images",
    "pixels, AUROC": "probability that a pixel on which they differ has more doubt; mean over images",
    "images, rank correlation": "of the mean doubt with the mean of that share",
}
"""Column of the report -> meaning. Pixels are those that the model or any expert takes for a region."""


def experts_agreement(measures: Sequence[ImageMeasure]) -> dict[str, list[Estimate]]:
    """Score -> an estimate for each of ``COLUMNS``; empty where no image was marked by several experts."""
    marked = [m for m in measures if not np.isnan(m.experts.get(DISAGREEMENT, np.nan))]
    if not marked:
        return {}
    names = [key.partition("/")[0] for key in marked[0].experts if key.endswith(f"/{MEAN}")]
    ranks, areas, means = (
        np.array([[m.experts[f"{name}/{part}"] for m in marked] for name in names])
        for part in (RANKS, AREA, MEAN)
    )
    both = np.vstack([means, [m.experts[DISAGREEMENT] for m in marked]])

    def values(draw: Array) -> Array:
        index = rows_drawn(draw)
        order = rankdata(both[:, index], axis=1)
        order = order - order.mean(axis=1, keepdims=True)
        scale = np.sqrt((order**2).sum(axis=1))
        images = order[:-1] @ order[-1] / np.where(scale[:-1] * scale[-1] > 0, scale[:-1] * scale[-1], np.nan)
        pixels = [np.nanmean(found[:, index], axis=1) for found in (ranks, areas)]
        return np.stack([*pixels, images], axis=1).ravel()

    estimates = bootstrap(
        lambda draws: np.array([values(draw) for draw in draws]), [m.resampled_with for m in marked]
    )
    width = len(COLUMNS)
    return {name: estimates[width * i : width * (i + 1)] for i, name in enumerate(names)}


def experts_markdown(found: Mapping[str, Sequence[Estimate]]) -> str:
    """A row for each score of doubt; nothing where nothing was measured."""
    if not found:
        return ""
    images = next(iter(found.values()))[0].images
    headers = [f"doubt and experts, {images} images", *COLUMNS]
    lines = ["| " + " | ".join(headers) + " |", "| --- |" + " --- |" * len(COLUMNS)]
    for name, estimates in found.items():
        cells = [
            "not defined" if e.value is None else f"{e.value:.3f} ({e.low:.3f} to {e.high:.3f})"
            for e in estimates
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
