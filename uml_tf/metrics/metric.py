"""The kinds of metric, and the registry that evaluation, comparison, command line and docs read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from numpy.typing import NDArray

from uml_tf.metrics.masks import MaskPair, PixelMaps, RegionPair
from uml_tf.metrics.metric_base import ImagesMetric, Metric, RankedMetric, ScoredMetric, SummedMetric
from uml_tf.metrics.scores import FOREIGN_SCORES, MASK_SCORES, PIXEL_SCORES, SCORES
from uml_tf.runtime.registry import Registry

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class ClassMetric(ImagesMetric):
    """A metric of the image class, over the labelled images.

    Attributes:
        value: from labels ``(N,)`` (class indices) and class probability ``(N, K)`` to the metric; nan where
            it is undefined. N is at least 1.
    """

    kind = "class"
    inputs = "images with a label"
    value: Callable[[Array, Array], float]


@dataclass(frozen=True, kw_only=True)
class ConfidenceMetric(ImagesMetric):
    """A metric of how far the stated confidence is kept, over the labelled images.

    Attributes:
        value: from the confidence ``(N,)`` in [0, 1] and ``(N,)`` bool (class correct) to the metric. N is at
            least 1.
    """

    kind = "confidence"
    inputs = "images with a label; the model's confidence, or its largest probability where it has none"
    value: Callable[[Array, Array], float]


@dataclass(frozen=True, kw_only=True)
class SelectiveMetric(RankedMetric):
    """A metric of a score of doubt: does it rank the wrong classes above the correct ones?

    Attributes:
        value: from a score ``(N,)``, larger for more doubt, and ``(N,)`` bool (class correct) to the metric;
            nan where it is undefined. N is at least 1.
    """

    kind = "selective"
    inputs = "images with a label"
    scores = SCORES
    value: Callable[[Array, Array], float]

    @staticmethod
    def loss(outcome: Array) -> Array:
        """1 where the class is wrong."""
        return ~outcome


@dataclass(frozen=True, kw_only=True)
class GradeMetric(RankedMetric):
    """A metric of a score of doubt about the class: is it larger where more experts disagree on the class?

    Attributes:
        value: from a score ``(N,)``, larger for more doubt, and the share ``(N,)`` of the experts whose grade
            differs from most, to the metric; nan where it is undefined. N is at least 1.
    """

    kind = "grades"
    inputs = "images that several experts graded"
    scores = SCORES
    value: Callable[[Array, Array], float]


@dataclass(frozen=True, kw_only=True)
class DecisionMetric(Metric):
    """A share of the images by what is decided on them; its interval is the exact binomial one.

    Attributes:
        part: from the decisions ``(N,)`` of str and ``(N,)`` bool (class wrong) to ``(N,)`` bool: which
            images are counted.
        whole: the same: of which images they are counted; those of ``part`` are among them.
        labelled: whether images without a label are left out.
    """

    kind = "decision"
    inputs = "images with a decision, by the thresholds of the model's card"
    part: Callable[[Array, Array], Array]
    whole: Callable[[Array, Array], Array]
    labelled: bool = False


@dataclass(frozen=True, kw_only=True)
class RegionMetric(Metric):
    """A metric of one region of one image, reported as NAME_REGION: the mean over the images.

    Attributes:
        value: from the true and the predicted region to the metric; nan leaves the image out.
    """

    kind = "region"
    inputs = "images with a mask, per region"
    value: Callable[[RegionPair], float]


@dataclass(frozen=True, kw_only=True)
class MaskMetric(Metric):
    """A metric of one image's whole mask: the mean over the images.

    Attributes:
        value: from the true and the predicted mask to the metric; nan leaves the image out.
        pixel_classes: the metric is measured only on data sets that have these pixel classes.
    """

    kind = "mask"
    inputs = "images with a mask"
    value: Callable[[MaskPair], float]
    pixel_classes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class MaskScoreMetric(RankedMetric):
    """A metric of a score of doubt about whole masks: does it rank the poor masks above the good ones?

    Attributes:
        value: from a score ``(N,)``, larger for more doubt, and the risk ``(N,)`` in [0, 1], which is
            1 - the mean Dice of the image's regions, to the metric. N is at least 1.
    """

    kind = "mask doubt"
    inputs = "images with a mask that shows a region"
    scores = MASK_SCORES
    value: Callable[[Array, Array], float]


@dataclass(frozen=True, kw_only=True)
class QualityMetric(ImagesMetric):
    """A metric of the Dice that the model estimates of a region of its own mask, reported as NAME_REGION.

    Attributes:
        value: from the estimated and the true Dice, ``(N,)`` each in [0, 1], to the metric; nan where it is
            undefined. N is at least 1.
    """

    kind = "mask quality"
    inputs = "images with a mask in which the region is predicted, per region"
    value: Callable[[Array, Array], float]


@dataclass(frozen=True, kw_only=True)
class IntervalMetric(ImagesMetric):
    """A metric of the intervals of a measurement, reported as NAME_MEASUREMENT.

    Measurements: ``area_REGION``, and ``vertical_cup_to_disc_ratio``.

    Attributes:
        value: from low end, high end and true value, ``(N,)`` each, to the metric. N is at least 1.
    """

    kind = "interval"
    inputs = "images with a mask for which the model gives the interval, per measurement"
    value: Callable[[Array, Array, Array], float]


@dataclass(frozen=True, kw_only=True)
class PixelMetric(SummedMetric):
    """A metric of pixels without a score of doubt.

    Attributes:
        count: from the pixels of one image to an array of counts.
    """

    kind = "pixel"
    inputs = "all pixels of the images with a mask"
    count: Callable[[PixelMaps], Array]


@dataclass(frozen=True, kw_only=True)
class PixelScoreMetric(ScoredMetric, SummedMetric):
    """A metric of a score of doubt about pixels: does it find the wrong ones?

    Attributes:
        value: from the sum of the images' ``(BINS, 2)`` histograms (``uml_tf.metrics.error_histogram``).
    """

    kind = "pixel doubt"
    inputs = "all pixels of the images with a mask"
    scores = PIXEL_SCORES


@dataclass(frozen=True, kw_only=True)
class ForeignMetric(RankedMetric):
    """A metric of a score of doubt: does it tell images of another kind from those of the split?

    Measured by ``uml-tf evaluate --out-of-distribution`` alone.

    Attributes:
        value: from a score ``(N,)``, larger for more doubt, and ``(N,)`` bool (image of another kind) to the
            metric; nan where it is undefined.
    """

    kind = "out of distribution"
    inputs = "images of the split and images of another kind"
    scores = FOREIGN_SCORES
    value: Callable[[Array, Array], float]


KINDS: tuple[type[Metric], ...] = (
    ClassMetric,
    ConfidenceMetric,
    SelectiveMetric,
    GradeMetric,
    DecisionMetric,
    RegionMetric,
    MaskMetric,
    MaskScoreMetric,
    QualityMetric,
    IntervalMetric,
    PixelMetric,
    PixelScoreMetric,
    ForeignMetric,
)

NAMED = (RegionMetric, ScoredMetric, QualityMetric, IntervalMetric)
"""Kinds that are reported with the name of a region, of a measurement or of a score behind their own."""

METRICS = Registry[Metric]("metric", "uml_tf.metrics")
"""Every metric by name; each file of the folder registers its own."""

Kind = TypeVar("Kind", bound=Metric)


def metrics_of_kind(kind: type[Kind]) -> dict[str, Kind]:
    """The registered metrics of one kind by name, in alphabetical order."""
    return {name: metric for name, metric in sorted(METRICS.items()) if isinstance(metric, kind)}


def metric_of(reported: str) -> Metric | None:
    """The metric behind a reported name: "dice_disc" is the metric "dice", "accuracy" is "accuracy".

    Returns:
        The metric with the longest name that fits; None for a name that belongs to no registered metric.
    """
    if reported in METRICS:
        return METRICS[reported]
    fitting = [
        name
        for name, metric in METRICS.items()
        if isinstance(metric, NAMED) and reported.startswith(f"{name}_")
    ]
    return METRICS[max(fitting, key=len)] if fitting else None
