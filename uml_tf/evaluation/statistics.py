"""From the measures of images to metrics of any selection of them, which is what resampling needs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from uml_tf.evaluation.measure import ImageMeasure
from uml_tf.metrics.metric import ClassMetric, PixelMetric, SelectiveMetric, metrics_of_kind
from uml_tf.metrics.scores import doubt_scores, reported_name

Array = NDArray[Any]


class Statistic(NamedTuple):
    """Metrics that are computed from the same images.

    Attributes:
        names: of the metrics.
        images: places of these images among the measures.
        values: from indices into ``images``, repeats included and at least one, to the metrics; nan where
            one is undefined.
    """

    names: tuple[str, ...]
    images: tuple[int, ...]
    values: Callable[[NDArray[np.intp]], Sequence[float]]

    @property
    def of_all_images(self) -> dict[str, float]:
        """Metric -> its value over all of these images; empty without an image."""
        if not self.images:
            return {}
        return dict(zip(self.names, self.values(np.arange(len(self.images))), strict=True))


class ClassArrays(NamedTuple):
    """The class of the labelled images.

    Attributes:
        images: ``(N,)`` places among the measures.
        labels: ``(N,)`` class indices.
        probability, belief: ``(N, K)``.
        uncertainty: ``(N,)``.
        confidence: ``(N,)``; nan where it is not known.
    """

    images: tuple[int, ...]
    labels: Array
    probability: Array
    belief: Array
    uncertainty: Array
    confidence: Array

    @property
    def correct(self) -> Array:
        """``(N,)`` bool: whether the most probable class is the label."""
        return self.probability.argmax(axis=1) == self.labels

    @property
    def scores(self) -> dict[str, Array]:
        """Every score of doubt, ``(N,)`` each."""
        return doubt_scores(self.probability, self.belief, self.uncertainty)


def class_arrays(measures: Sequence[ImageMeasure]) -> ClassArrays:
    """The labelled images as arrays."""
    images = tuple(place for place, measure in enumerate(measures) if measure.label >= 0)
    labelled = [measures[place] for place in images]
    classes = len(measures[0].probability) if measures else 0
    return ClassArrays(
        images,
        np.array([m.label for m in labelled], int),
        np.array([m.probability for m in labelled]).reshape(-1, classes),
        np.array([m.belief for m in labelled]).reshape(-1, classes),
        np.array([m.class_uncertainty for m in labelled]),
        np.array([m.class_confidence for m in labelled]),
    )


def _class_statistic(arrays: ClassArrays, names: Collection[str] | None) -> Statistic:
    metrics = {n: m for n, m in metrics_of_kind(ClassMetric).items() if names is None or n in names}
    functions = [metric.value for metric in metrics.values()]

    def values(index: NDArray[np.intp]) -> list[float]:
        labels, probability = arrays.labels[index], arrays.probability[index]
        return [function(labels, probability) for function in functions]

    return Statistic(tuple(metrics), arrays.images, values)


def _selective_statistic(arrays: ClassArrays, names: Collection[str] | None) -> Statistic:
    correct = arrays.correct
    functions = {
        reported_name(name, score): (metric.value, doubt)
        for score, doubt in arrays.scores.items()
        for name, metric in metrics_of_kind(SelectiveMetric).items()
        if names is None or reported_name(name, score) in names
    }

    def values(index: NDArray[np.intp]) -> list[float]:
        selected = correct[index]
        return [function(doubt[index], selected) for function, doubt in functions.values()]

    return Statistic(tuple(functions), arrays.images, values)


def _mean_statistic(name: str, measures: Sequence[ImageMeasure]) -> Statistic:
    """The mean of a value over the images in which it is defined."""
    known = [(i, m.values[name]) for i, m in enumerate(measures) if not np.isnan(m.values.get(name, np.nan))]
    values = np.array([value for _, value in known])
    return Statistic((name,), tuple(i for i, _ in known), lambda index: [float(values[index].mean())])


def _pixel_statistic(name: str, metric: PixelMetric, measures: Sequence[ImageMeasure]) -> Statistic:
    """A function of the counts of all images together."""
    images = tuple(i for i, m in enumerate(measures) if name in m.counts)
    counts = metric.select(np.stack([measures[i].counts[name] for i in images]))
    return Statistic((name,), images, lambda index: [metric.value(counts[index].sum(axis=0))])


def statistics(measures: Sequence[ImageMeasure], names: Collection[str] | None = None) -> list[Statistic]:
    """Every registered metric that applies to these images.

    Metrics of the class apply to the labelled images, the others to the images with a mask.

    Args:
        measures: of the images.
        names: the reported metrics that are wanted; None for all.
    """
    arrays = class_arrays(measures)
    found = [_class_statistic(arrays, names), _selective_statistic(arrays, names)]
    masked = next((m for m in measures if m.masked), None)
    if masked is not None:
        pixel_metrics = metrics_of_kind(PixelMetric)
        found += [_mean_statistic(name, measures) for name in masked.values if names is None or name in names]
        found += [
            _pixel_statistic(name, pixel_metrics[name], measures)
            for name in masked.counts
            if names is None or name in names
        ]
    return [one for one in found if one.names]
