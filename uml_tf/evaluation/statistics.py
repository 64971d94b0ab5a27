"""From the measures of images to metrics of any selection of them, which is what resampling needs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from uml_tf.evaluation.measure import ImageMeasure
from uml_tf.evaluation.pixel_statistics import pixel_statistics
from uml_tf.evaluation.statistic import Statistic
from uml_tf.metrics.draws import divided, in_parts, mean_of_draws
from uml_tf.metrics.metric import (
    ClassMetric,
    ConfidenceMetric,
    DecisionMetric,
    GradeMetric,
    IntervalMetric,
    MaskScoreMetric,
    QualityMetric,
    SelectiveMetric,
    metrics_of_kind,
)
from uml_tf.metrics.metric_base import ImagesMetric, RankedMetric, of_draws
from uml_tf.metrics.ranked import RankedLoss, ranked_loss
from uml_tf.metrics.scores import doubt_scores, reported_name

Array = NDArray[Any]


class ClassArrays(NamedTuple):
    """The class of some images, all of them labelled unless it is said otherwise.

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
    return _class_of(measures, [place for place, measure in enumerate(measures) if measure.label >= 0])


def _class_of(measures: Sequence[ImageMeasure], images: Sequence[int]) -> ClassArrays:
    """The images at some places among the measures; the label of one without is -1."""
    chosen = [measures[place] for place in images]
    classes = len(measures[0].probability) if measures else 0
    probability = np.array([m.probability for m in chosen]).reshape(-1, classes)
    confidence = np.array([m.class_confidence for m in chosen])
    return ClassArrays(
        tuple(images),
        np.array([m.label for m in chosen], int),
        probability,
        np.array([m.belief for m in chosen]).reshape(-1, classes),
        np.array([m.class_uncertainty for m in chosen]),
        # Files of measures of earlier versions have no confidence.
        np.where(np.isnan(confidence), probability.max(axis=1, initial=0), confidence),
    )


def _of_arrays(
    metrics: Mapping[str, tuple[ImagesMetric, tuple[Array, ...]]],
    images: Sequence[int],
    names: Collection[str] | None,
) -> Statistic:
    """Metrics of arrays that have a row for each image.

    Args:
        metrics: reported name -> the metric and what it is computed from, ``(N, ...)`` each.
        images: N places among the measures.
        names: the reported metrics that are wanted; None for all.
    """
    wanted = {name: metric for name, metric in metrics.items() if names is None or name in names}
    functions = [of_draws(metric, *arrays) for metric, arrays in (wanted.values() if images else ())]

    def values(draws: Array) -> Array:
        return np.stack([function(draws) for function in functions], axis=1)

    return Statistic(tuple(wanted), tuple(images), in_parts(values))


def _class_statistics(arrays: ClassArrays, names: Collection[str] | None) -> list[Statistic]:
    """What is made of the class, of the confidence in it, and of every score of doubt about it."""
    correct = arrays.correct
    parts: list[dict[str, tuple[ImagesMetric, tuple[Array, ...]]]] = [
        {n: (m, (arrays.labels, arrays.probability)) for n, m in metrics_of_kind(ClassMetric).items()},
        {n: (m, (arrays.confidence, correct)) for n, m in metrics_of_kind(ConfidenceMetric).items()},
    ]
    scored = _scored_statistic(SelectiveMetric, arrays.images, arrays.scores, correct, names)
    return [*(_of_arrays(part, arrays.images, names) for part in parts), scored]


def _scored_statistic(
    kind: type[SelectiveMetric] | type[GradeMetric] | type[MaskScoreMetric],
    images: Sequence[int],
    scores: Mapping[str, Array],
    outcome: Array,
    names: Collection[str] | None,
) -> Statistic:
    """Every metric of a kind for every score; the images are ranked once for all metrics of a score.

    Args:
        kind: of the metrics.
        images: places among the measures.
        scores: name -> ``(N,)``.
        outcome: ``(N,)`` what the metrics take beside a score.
        names: the reported metrics that are wanted; None for all.
    """
    wanted = {
        score: {
            reported_name(name, score): metric
            for name, metric in metrics_of_kind(kind).items()
            if names is None or reported_name(name, score) in names
        }
        for score in scores
    }
    parts = [
        _of_score(list(metrics.values()), scores[score], outcome)
        for score, metrics in wanted.items()
        if metrics and images
    ]
    return Statistic(
        tuple(name for metrics in wanted.values() for name in metrics),
        tuple(images),
        in_parts(lambda draws: np.stack([values for part in parts for values in part(draws)], axis=1)),
    )


def _of_score(
    metrics: Sequence[RankedMetric], score: Array, outcome: Array
) -> Callable[[Array], list[Array]]:
    """From counts (see ``OfDraws``) to ``(D,)`` values of each metric of one score."""
    ranked = ranked_loss(score, metrics[0].loss(outcome))

    def function(metric: RankedMetric) -> Callable[[Array, RankedLoss], Array]:
        if metric.of_ranked:
            of_ranked = metric.of_ranked
            return lambda draws, shared: of_ranked(shared)
        alone = of_draws(metric, score, outcome)
        return lambda draws, shared: alone(draws)

    functions = [function(metric) for metric in metrics]

    def values(draws: Array) -> list[Array]:
        shared = ranked(draws)
        return [one(draws, shared) for one in functions]

    return values


def _grade_statistics(measures: Sequence[ImageMeasure], names: Collection[str] | None) -> list[Statistic]:
    """What is made of the class of the images that several experts graded; nothing where there are none."""
    graded = [place for place, m in enumerate(measures) if not np.isnan(m.grade_disagreement)]
    if not graded:
        return []
    arrays = _class_of(measures, graded)
    disagreement = np.array([measures[place].grade_disagreement for place in graded])
    return [_scored_statistic(GradeMetric, arrays.images, arrays.scores, disagreement, names)]


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
    counted = np.stack(decided(metric, [measures[i] for i in images]), axis=1).astype(np.float64)

    def values(draws: Array) -> Array:
        part, whole = np.split(draws @ counted, 2, axis=1)
        return divided(part, whole)

    return Statistic((name,), images, in_parts(values))


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
    mean = mean_of_draws(np.array([value for _, value in known]))
    return Statistic((name,), tuple(i for i, _ in known), in_parts(lambda draws: mean(draws)[:, None]))


def _true_dice(measure: ImageMeasure, region: str) -> float:
    """Of a region of a masked image: 0 where there is no such region, nan where the mask does not tell it."""
    dice = measure.values[f"dice_{region}"]
    # Where there is none, what is predicted is a false positive; both are undefined where it is not told.
    is_told = not np.isnan([dice, measure.values.get(f"false_positive_area_{region}", 0.0)]).all()
    return float(np.nan_to_num(dice)) if is_told else np.nan


def _quality_statistics(measures: Sequence[ImageMeasure], names: Collection[str] | None) -> list[Statistic]:
    """What is made of the estimated Dice of every region, of the images whose masks tell it."""
    found: list[Statistic] = []
    for region in dict.fromkeys(name for m in measures for name in m.quality):
        pairs = {
            i: (m.quality.get(region, np.nan), _true_dice(m, region))
            for i, m in enumerate(measures)
            if m.masked
        }
        known = [i for i, pair in pairs.items() if not np.isnan(pair).any()]
        estimated, true = np.array([pairs[i] for i in known], np.float64).reshape(-1, 2).T
        found.append(_of_arrays(_behind(QualityMetric, region, (estimated, true)), known, names))
    return found


def _interval_statistics(measures: Sequence[ImageMeasure], names: Collection[str] | None) -> list[Statistic]:
    """What is made of the intervals of every measurement."""
    found = []
    for measured in dict.fromkeys(key.rpartition("/")[0] for m in measures for key in m.intervals):
        keys = [f"{measured}/{end}" for end in ("low", "high", "true")]
        known = [i for i, m in enumerate(measures) if not np.isnan(m.intervals.get(keys[0], np.nan))]
        arrays = tuple(np.array([measures[i].intervals[key] for i in known]) for key in keys)
        found.append(_of_arrays(_behind(IntervalMetric, measured, arrays), known, names))
    return found


def _behind(
    kind: type[QualityMetric] | type[IntervalMetric], behind: str, arrays: tuple[Array, ...]
) -> dict[str, tuple[ImagesMetric, tuple[Array, ...]]]:
    """Every metric of a kind, with a name behind its own, of ``(N,)`` arrays."""
    return {f"{name}_{behind}": (metric, arrays) for name, metric in metrics_of_kind(kind).items()}


def statistics(measures: Sequence[ImageMeasure], names: Collection[str] | None = None) -> list[Statistic]:
    """Every registered metric that applies to these images.

    Metrics of the class apply to the labelled images, those of grades to the images that several experts
    graded, those of decisions to the images on which something was decided, the others to the images with a
    mask.

    Args:
        measures: of the images.
        names: the reported metrics that are wanted; None for all.
    """
    found = _class_statistics(class_arrays(measures), names) + _grade_statistics(measures, names)
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
        found += [_mask_score_statistic(measures, names), *pixel_statistics(measures, names)]
    # Of many images a tuple takes megabytes, and most statistics are of the same ones.
    images = {one.images: one.images for one in found}
    return [one._replace(images=images[one.images]) for one in found if one.names]
