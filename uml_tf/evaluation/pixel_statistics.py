"""Metrics of the pixels of all images together, from counts that add up over the images."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uml_tf.evaluation.measure import ERRORS_BY, ImageMeasure
from uml_tf.evaluation.statistic import Statistic
from uml_tf.metrics.draws import sums_of_draws
from uml_tf.metrics.metric import PixelMetric, PixelScoreMetric, metrics_of_kind
from uml_tf.metrics.metric_base import SummedMetric
from uml_tf.metrics.scores import reported_name

Array = NDArray[Any]


def _metrics_of_counts(names: Collection[str] | None) -> dict[str, dict[str, SummedMetric]]:
    """Name of an image's counts -> reported name -> metric of their sum."""
    found: dict[str, dict[str, SummedMetric]] = {
        name: {name: metric} for name, metric in metrics_of_kind(PixelMetric).items()
    }
    scored = metrics_of_kind(PixelScoreMetric)
    for score in PixelScoreMetric.scores:
        found[f"{ERRORS_BY}{score}"] = {reported_name(name, score): metric for name, metric in scored.items()}
    return {
        counted: {name: metric for name, metric in metrics.items() if names is None or name in names}
        for counted, metrics in found.items()
    }


def _of_counts(
    metrics: Mapping[str, SummedMetric], counted: str, measures: Sequence[ImageMeasure]
) -> Statistic:
    """Metrics of the sum of the counts of that name."""
    images = tuple(place for place, measure in enumerate(measures) if counted in measure.counts)
    counts = [measures[place].counts[counted] for place in images]
    functions = {name: metric.value for name, metric in metrics.items()}
    if choosing := {name: metric.of_all for name, metric in metrics.items() if metric.of_all is not None}:
        (whole,) = sums_of_draws(np.ones((1, len(images)), np.uint8), counts)
        functions |= {name: of_all(whole) for name, of_all in choosing.items()}

    def values(draws: Array) -> Array:
        return np.array([[f(total) for f in functions.values()] for total in sums_of_draws(draws, counts)])

    return Statistic(tuple(functions), images, values)


def pixel_statistics(measures: Sequence[ImageMeasure], names: Collection[str] | None) -> list[Statistic]:
    """What is made of each kind of counts; the counts are summed once for all metrics of them.

    Args:
        measures: of the images.
        names: the reported metrics that are wanted; None for all.
    """
    some = next((m.counts for m in measures if m.counts), {})
    return [
        _of_counts(metrics, counted, measures)
        for counted, metrics in _metrics_of_counts(names).items()
        if metrics and counted in some
    ]
