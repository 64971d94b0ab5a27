"""What is kept of the pixels of one image that several experts marked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uml_tf.metrics.ranking import area_under_roc, rank_correlation

Array = NDArray[Any]

DISAGREEMENT = "disagreement"
RANKS, AREA, MEAN = "ranks", "auroc", "mean"
_MOST_PIXELS = 50_000
_UNANIMOUS = 0.99


def experts_seen(shares: Array, predicted: Array, scores: Mapping[str, Array]) -> dict[str, float]:
    """What is kept of an image that several experts marked, by name; nothing where nobody sees a region.

    Args:
        shares: ``(N, C)`` share of the experts that chose each class of N pixels.
        predicted: ``(N,)`` class indices.
        scores: score of doubt -> ``(N,)``.
    """
    region = np.flatnonzero((predicted > 0) | (shares[:, 0] < _UNANIMOUS))
    if not len(region):
        return {}
    some = region[:: max(-(-len(region) // _MOST_PIXELS), 1)]
    largest = shares[some].max(axis=1)
    found = {DISAGREEMENT: float((1 - largest).mean())}
    for name, score in scores.items():
        doubt = score[some]
        found[f"{name}/{RANKS}"] = rank_correlation(doubt, 1 - largest)
        found[f"{name}/{AREA}"] = area_under_roc(largest < _UNANIMOUS, doubt)
        found[f"{name}/{MEAN}"] = float(doubt.mean())
    return found
