"""From the measures of images to metrics of any selection of them, which is what resampling needs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from uml_tf.evaluation.measure import ERRORS_BY, ImageMeasure
from uml_tf.metrics.metric import (
    ClassMetric,
    ConfidenceMetric,
    DecisionMetric,
    IntervalMetric,
    MaskScoreMetric,
    PixelMetric,
    PixelScoreMetric,
    QualityMetric,
    SelectiveMetric,
    metrics_of_kind,
)
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
        uncertainty, confidence: ``(N,)``.
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
        return doubt_scores(self.probability, self.belief, self.uncertainty, self.confidence)


def class_arrays(measures: Sequence[ImageMeasure]) -> ClassArrays:
    """The labelled images as arrays."""
    images = tuple(place for place, measure in enumerate(measures) if measure.label >= 0)
    labelled = [measures[place] for place in images]
    classes = len(measures[0].probability) if measures else 0
    probability = np.array([m.probability for m in labelled]).reshape(-1, classes)
    confidence = np.array([m.class_confidence for m in labelled])
    return ClassArrays(
        images,
        np.array([m.label for m in labelled], int),
        probability,
        np.array([m.belief for m in labelled]).reshape(-1, classes),
        np.array([m.class_uncertainty for m in labelled]),
        # Files of measures of earlier versions have no confidence.
        np.where(np.isnan(confidence), probability.max(axis=1, initial=0), confidence),
    )


def _sorted_draws(index: NDArray[np.intp], order: NDArray[np.intp]) -> NDArray[np.intp]:
    """The drawn images in a given order of all: metrics that sort them then find them sorted."""
    return np.repeat(order, np.bincount(index, minlength=len(order))[order])


def _class_statistic(arrays: ClassArrays, names: Collection[str] | None) -> Statistic:
    metrics = {n: m for n, m in metrics_of_kind(ClassMetric).items() if names is None or n in names}
    functions = [metric.value for metric in metrics.values()]
    columns = np.ascontiguousarray(arrays.probability.T)

    def values(index: NDArray[np.intp]) -> list[float]:
        # Column by column in the memory, where the largest of a row's few numbers is found far faster.
        labels, probability = arrays.labels[index], columns[:, index].T
        return [function(labels, probability) for function in functions]

    return Statistic(tuple(metrics), arrays.images, values)


def _confidence_statistic(arrays: ClassArrays, names: Collection[str] | None) -> Statistic:
    metrics = {n: m for n, m in metrics_of_kind(ConfidenceMetric).items() if names is None or n in names}
    correct, order = arrays.correct, np.argsort(arrays.confidence)

    def values(index: NDArray[np.intp]) -> list[float]:
        index = _sorted_draws(index, order)
        return [metric.value(arrays.confidence[index], correct[index]) for metric in metrics.values()]

    return Statistic(tuple(metrics), arrays.images, values)


def _scored_statistic(
    kind: type[SelectiveMetric] | type[MaskScoreMetric],
    images: tuple[int, ...],
    scores: Mapping[str, Array],
    outcome: Array,
    names: Collection[str] | None,
) -> Statistic:
    """Every metric of a kind for every score.

    Args:
        kind: of the metrics.
        images: places among the measures.
        scores: name -> ``(N,)``.
        outcome: ``(N,)`` what the metrics take beside a score.
        names: the reported metrics that are wanted; None for all.
    """
    functions = {
        reported_name(name, score): (metric.value, score)
        for score in scores
        for name, metric in metrics_of_kind(kind).items()
        if names is None or reported_name(name, score) in names
    }
    orders = {score: np.argsort(scores[score]) for _, score in functions.values()}

    def values(index: NDArray[np.intp]) -> list[float]:
        sorted_ = {score: _sorted_draws(index, order) for score, order in orders.items()}
        drawn = {score: (scores[score][places], outcome[places]) for score, places in sorted_.items()}
        return [function(*drawn[score]) for function, score in functions.values()]

    return Statistic(tuple(functions), images, values)


def _mask_score_statistic(measures: Sequence[ImageMeasure], names: Collection[str] | None) -> Statistic:
    risks = [1 - m.values.get("mean_dice", np.nan) if m.mask_doubts else np.nan for m in measures]
    images = tuple(int(place) for place in np.flatnonzero(~np.isnan(risks)))
    told = [measures[place].mask_doubts for place in images]
    common = [score for score in MaskScoreMetric.scores if told and all(score in one for one in told)]
    scores = {score: np.array([one[score] for one in told]) for score in common}
    # A score that is told of some images alone, as in a file with a set of another kind, is none.
    scores = {score: values for score, values in scores.items() if not np.isnan(values).any()}
    return _scored_statistic(MaskScoreMetric, images, scores, np.array(risks)[list(images)], names)


def _decision_statistic(name: str, metric: DecisionMetric, measures: Sequence[ImageMeasure]) -> Statistic:
    """A share of the images by what is decided on them."""
    images = tuple(i for i, m in enumerate(measures) if m.decision and (m.label >= 0 or not metric.labelled))
    part, whole = decided(metric, [measures[i] for i in images])

    def values(index: NDArray[np.intp]) -> list[float]:
        total = np.count_nonzero(whole[index])
        return [np.count_nonzero(part[index]) / total if total else np.nan]

    return Statistic((name,), images, values)


def decided(metric: DecisionMetric, measures: Sequence[ImageMeasure]) -> tuple[Array, Array]:
    """``(N,)`` bool each: which images a metric counts, and of which.

    Args:
        metric: a share of images.
        measures: of images on which something was decided; with a label each if the metric needs it.
    """
    actions = np.array([m.decision for m in measures], object)
    wrong = np.array([m.label >= 0 and int(m.probability.argmax()) != m.label for m in measures], bool)
    return metric.part(actions, wrong), metric.whole(actions, wrong)


def _mean_statistic(name: str, measures: Sequence[ImageMeasure]) -> Statistic:
    """The mean of a value over the images in which it is defined."""
    known = [(i, m.values[name]) for i, m in enumerate(measures) if not np.isnan(m.values.get(name, np.nan))]
    values = np.array([value for _, value in known])
    return Statistic((name,), tuple(i for i, _ in known), lambda index: [float(values[index].mean())])


def _quality_statistics(measures: Sequence[ImageMeasure], names: Collection[str] | None) -> list[Statistic]:
    """What is made of the estimated Dice of every region; where there is no such region the true one is 0."""
    found = []
    for region in dict.fromkeys(name for m in measures for name in m.quality):
        known = [
            i for i, m in enumerate(measures) if m.masked and not np.isnan(m.quality.get(region, np.nan))
        ]
        estimated = np.array([measures[i].quality[region] for i in known])
        true = np.nan_to_num([measures[i].values[f"dice_{region}"] for i in known])
        found += _of_arrays(QualityMetric, region, known, (estimated, true), names)
    return found


def _interval_statistics(measures: Sequence[ImageMeasure], names: Collection[str] | None) -> list[Statistic]:
    """What is made of the intervals of every measurement."""
    found = []
    for measured in dict.fromkeys(key.rpartition("/")[0] for m in measures for key in m.intervals):
        keys = [f"{measured}/{end}" for end in ("low", "high", "true")]
        known = [i for i, m in enumerate(measures) if not np.isnan(m.intervals.get(keys[0], np.nan))]
        arrays = tuple(np.array([measures[i].intervals[key] for i in known]) for key in keys)
        found += _of_arrays(IntervalMetric, measured, known, arrays, names)
    return found


def _of_arrays(
    kind: type[QualityMetric] | type[IntervalMetric],
    behind: str,
    images: Sequence[int],
    arrays: tuple[Array, ...],
    names: Collection[str] | None,
) -> list[Statistic]:
    """Every metric of a kind, with a name behind its own, of ``(N,)`` arrays; none without images."""
    functions = {
        f"{name}_{behind}": metric.value
        for name, metric in metrics_of_kind(kind).items()
        if names is None or f"{name}_{behind}" in names
    }

    def values(index: NDArray[np.intp]) -> list[float]:
        drawn = [array[index] for array in arrays]
        return [function(*drawn) for function in functions.values()]

    return [Statistic(tuple(functions), tuple(images), values)] if images else []


def _pixel_statistic(
    name: str, metric: PixelMetric | PixelScoreMetric, counted: str, measures: Sequence[ImageMeasure]
) -> Statistic:
    """A function of the counts of all images together.

    Args:
        name: as it is reported.
        metric: what is computed.
        counted: name of its counts.
        measures: of the images.
    """
    images = tuple(i for i, m in enumerate(measures) if counted in m.counts)
    counts = metric.select(np.stack([measures[i].counts[counted] for i in images]))
    flat = counts.reshape(len(images), -1)

    def values(index: NDArray[np.intp]) -> list[float]:
        # A product with how often each image was drawn is far faster than a sum of the drawn counts.
        total = np.bincount(index, minlength=len(images)) @ flat
        return [metric.value(total.reshape(counts.shape[1:]))]

    return Statistic((name,), images, values)


def _pixel_statistics(measures: Sequence[ImageMeasure], names: Collection[str] | None) -> list[Statistic]:
    counted = next((m.counts for m in measures if m.counts), {})
    metrics: dict[str, tuple[PixelMetric | PixelScoreMetric, str]] = {
        name: (metric, name) for name, metric in metrics_of_kind(PixelMetric).items()
    }
    for name, metric in metrics_of_kind(PixelScoreMetric).items():
        metrics |= {reported_name(name, s): (metric, f"{ERRORS_BY}{s}") for s in PixelScoreMetric.scores}
    return [
        _pixel_statistic(name, metric, counts, measures)
        for name, (metric, counts) in metrics.items()
        if counts in counted and (names is None or name in names)
    ]


def statistics(measures: Sequence[ImageMeasure], names: Collection[str] | None = None) -> list[Statistic]:
    """Every registered metric that applies to these images.

    Metrics of the class apply to the labelled images, those of decisions to the images on which something was
    decided, the others to the images with a mask.

    Args:
        measures: of the images.
        names: the reported metrics that are wanted; None for all.
    """
    arrays = class_arrays(measures)
    found = [
        _class_statistic(arrays, names),
        _confidence_statistic(arrays, names),
        _scored_statistic(SelectiveMetric, arrays.images, arrays.scores, arrays.correct, names),
    ]
    if any(m.decision for m in measures):
        found += [
            _decision_statistic(name, metric, measures)
            for name, metric in metrics_of_kind(DecisionMetric).items()
            if names is None or name in names
        ]
    masked = next((m for m in measures if m.masked), None)
    if masked is not None:
        found += [_mean_statistic(name, measures) for name in masked.values if names is None or name in names]
        found += [*_quality_statistics(measures, names), *_interval_statistics(measures, names)]
        found += [_mask_score_statistic(measures, names), *_pixel_statistics(measures, names)]
    return [one for one in found if one.names]
