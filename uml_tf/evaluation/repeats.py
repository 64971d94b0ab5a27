"""Several measurements of the same images, as by networks of several seeds: their mean as one statistic."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uml_tf.evaluation.measure import ImageMeasure
from uml_tf.evaluation.statistic import Statistic
from uml_tf.evaluation.statistics import statistics

Measures = Sequence[ImageMeasure]


def _common(versions: Measures, part: str) -> list[dict[str, float]]:
    """For each version those numbers of a part that all have, nan where one of them is undefined."""
    numbers: list[Mapping[str, float]] = [getattr(m, part) for m in versions]
    names = [name for name in numbers[0] if all(name in one for one in numbers)]
    undefined = {name for name in names if any(np.isnan(one[name]) for one in numbers)}
    return [{name: np.nan if name in undefined else one[name] for name in names} for one in numbers]


def _common_image(versions: Measures) -> list[ImageMeasure]:
    """The measures of one image, each with only what is defined in all."""
    counts = [name for name in versions[0].counts if all(name in m.counts for m in versions)]
    labelled = all(m.label >= 0 for m in versions)
    doubts = [name for name in versions[0].mask_doubts if all(name in m.mask_doubts for m in versions)]
    decided = all(m.decision for m in versions)
    parts = zip(*(_common(versions, part) for part in ("values", "quality", "intervals")), strict=True)
    return [
        replace(
            m,
            label=m.label if labelled else -1,
            values=values,
            quality=quality,
            intervals=intervals,
            counts={name: m.counts[name] for name in counts},
            mask_doubts={name: m.mask_doubts[name] for name in doubts},
            decision=m.decision if decided else "",
        )
        for m, (values, quality, intervals) in zip(versions, parts, strict=True)
    ]


def commonly_defined(repeats: Sequence[Measures]) -> list[list[ImageMeasure]]:
    """Measures of the same images in the same order, each with only those values that are defined in all.

    A value that is undefined in one of them (e.g. the cup-to-disc error where no disc was found) is left out
    of all, so that all means are over the same images.

    Raises:
        ValueError: the images or their order differ: differences would pair one image with another.
    """
    together = list(zip(*repeats, strict=True))
    for first, *others in together:
        for other in others:
            if other.image != first.image:
                raise ValueError(f"found {other.image} in another order, expected {first.image} in its place")
    images = [_common_image(versions) for versions in together]
    return [list(measures) for measures in zip(*images, strict=True)]


def _mean(same: Sequence[Statistic]) -> Statistic:
    def values(draws: NDArray[Any]) -> NDArray[Any]:
        return np.mean([one.values(draws) for one in same], axis=0)

    return Statistic(same[0].names, same[0].images, values)


def mean_statistics(repeats: Sequence[Measures], names: Collection[str] | None = None) -> list[Statistic]:
    """Metrics of the images, averaged over the repeats: the mean of each repeat's own metric.

    Args:
        repeats: from ``commonly_defined``, at least one.
        names: the reported metrics that are wanted; None for all.
    """
    return [_mean(same) for same in zip(*(statistics(m, names) for m in repeats), strict=True)]
