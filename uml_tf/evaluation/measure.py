"""What is measured on one image: the row of numbers that every metric of a split is computed from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import nan
from sys import intern
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uml_tf.data.dataset import DatasetInfo, Row
from uml_tf.evaluation.doubt import (
    class_confidence,
    familiarity,
    mask_confidence,
    mask_doubts,
    restored_confidence,
)
from uml_tf.evaluation.expert_pixels import experts_seen
from uml_tf.evaluation.numbers import Numbers
from uml_tf.evaluation.stage_counts import stage_counts
from uml_tf.metrics.error_histogram import error_histogram
from uml_tf.metrics.grades import grade_disagreement
from uml_tf.metrics.masks import MaskPair, PixelMaps, region_pair
from uml_tf.metrics.metric import MaskMetric, PixelMetric, RegionMetric, metrics_of_kind
from uml_tf.metrics.packed_counts import PackedCounts, packed
from uml_tf.metrics.scores import pixel_scores
from uml_tf.runtime.cup_to_disc import vertical_cup_to_disc_ratio
from uml_tf.runtime.intervals import RATIO, Interval, area_name, intervals_around
from uml_tf.runtime.mask_quality import mask_quality
from uml_tf.runtime.model_card import ModelCard
from uml_tf.runtime.placement import Placement, place
from uml_tf.runtime.regions import class_is_known, region_members

ERRORS_BY = "errors_by_"
"""Before the name of a score, among the counts: the error histogram of that score."""

Counts = PackedCounts | NDArray[Any]
"""Of one image; packed in what ``measure_image`` and a file of measures return."""


_NUMBERS = ("values", "shares", "mask_doubts", "quality", "intervals", "experts")
"""Fields of a measure that are kept as ``Numbers``."""


@dataclass(frozen=True, slots=True)
class ImageMeasure:
    """One image, measured at its original size.

    Attributes:
        image: path in the manifest.
        subject: patient or group of near-duplicates; "" where the image is a subject of its own.
        label: class index, -1 without a label.
        probability, belief: ``(K,)`` of the class.
        class_uncertainty: in (0, 1].
        values: metric of a region or of the mask, e.g. "dice_disc" -> number, nan where it is undefined or
            the mask does not tell the region, or for the whole mask every region; empty without a mask, and
            where no pixel's class is known.
        counts: metric of the pixels -> counts, ``ERRORS_BY`` a score of doubt -> its error histogram, and
            what ``stage_counts`` returns; they add up over images. Empty where ``values`` is.
        source: the data set that the image came from; "" where the manifest does not say.
        decision: "accept", "refer" or "ungradable"; "" where no thresholds were given.
        mask_uncertainty: mean over the pixels that the network read, without padding, in (0, 1].
        foreground: share of the whole picture whose most probable class is not the background, in [0, 1];
            what the network did not read is background.
        shares: the same of every region.
        class_confidence: in [0, 1]; of a model without confidences its largest probability.
        mask_confidence: the same of the pixels, their mean.
        familiarity: in [0, 1]; nan where the model does not tell it.
        mask_doubts: score of ``uml_tf.metrics.scores.MASK_SCORES`` -> number; empty where ``values`` is.
        quality: region -> the Dice that the model estimates of it, nan where it predicts none; empty where it
            estimates none.
        intervals: MEASUREMENT/low, MEASUREMENT/high and MEASUREMENT/true -> number, areas as shares of the
            predicted area; nan without an interval or a true value. Empty where ``values`` is.
        experts: what ``uml_tf.evaluation.expert_pixels`` keeps of an image that several experts marked.
        grade_disagreement: share of the experts whose grade of the class differs from most, in [0, 1); nan
            where fewer than two graded the image.
        region_found: 1 where the locator found the region that the network reads around, else 0; nan of a
            network without a locator.
    """

    image: str
    subject: str
    label: int
    probability: NDArray[Any]
    belief: NDArray[Any]
    class_uncertainty: float
    values: Mapping[str, float] = field(default_factory=dict)
    counts: Mapping[str, Counts] = field(default_factory=dict)
    source: str = ""
    decision: str = ""
    mask_uncertainty: float = nan
    foreground: float = nan
    shares: Mapping[str, float] = field(default_factory=dict)
    class_confidence: float = nan
    mask_confidence: float = nan
    familiarity: float = nan
    mask_doubts: Mapping[str, float] = field(default_factory=dict)
    quality: Mapping[str, float] = field(default_factory=dict)
    intervals: Mapping[str, float] = field(default_factory=dict)
    experts: Mapping[str, float] = field(default_factory=dict)
    grade_disagreement: float = nan
    region_found: float = nan

    def __post_init__(self) -> None:
        for name in _NUMBERS:
            object.__setattr__(self, name, Numbers(getattr(self, name)))
        object.__setattr__(self, "counts", {intern(name): found for name, found in self.counts.items()})

    @property
    def masked(self) -> bool:
        """Whether the image has a mask."""
        return bool(self.values or self.counts)

    @property
    def resampled_with(self) -> tuple[str, str]:
        """Equal for the images of one subject, and for no others."""
        return (self.subject, "") if self.subject else ("", self.image)


def mask_pair(
    truth: NDArray[Any],
    predicted: NDArray[Any],
    info: DatasetInfo,
    spacing: tuple[float, float] | None = None,
) -> MaskPair:
    """The regions of a true and a predicted mask.

    Args:
        truth: ``(H, W)`` class indices, and the reserved values, see ``region_pair``.
        predicted: ``(H, W)`` class indices.
        info: classes and unions, and the spacing that all images share.
        spacing: the image's own, where they share none.
    """
    members = region_members(info.pixel_classes, info.unions)
    classes, spacing, known = len(info.pixel_classes), spacing or info.spacing, class_is_known(truth)
    regions = {
        name: region_pair(truth, predicted, indices, classes, spacing) for name, indices in members.items()
    }
    return MaskPair(np.where(known, truth, 0), np.where(known, predicted, 0), info.pixel_classes, regions)


def _values(masks: MaskPair) -> dict[str, float]:
    values = {
        f"{name}_{region}": metric.value(pair) if pair.told else nan
        for region, pair in masks.regions.items()
        for name, metric in metrics_of_kind(RegionMetric).items()
    }
    for name, metric in metrics_of_kind(MaskMetric).items():
        if set(metric.pixel_classes) <= set(masks.pixel_classes):
            values[name] = metric.value(masks) if masks.told else nan
    return values


def _intervals(
    masks: MaskPair, quality: Mapping[str, float | None], fits: Mapping[str, Interval]
) -> dict[str, float]:
    """The intervals of what is measured on a predicted mask, beside the true values."""
    ratio, true_ratio = (
        vertical_cup_to_disc_ratio(mask, masks.pixel_classes) for mask in (masks.predicted, masks.truth)
    )
    areas = {name: pair.predicted_area for name, pair in masks.regions.items()}
    truths: dict[str, tuple[float | None, float]] = {RATIO: (true_ratio, 1.0)}
    truths |= {
        area_name(name): (pair.true_area if pair.told else None, max(pair.predicted_area, 1))
        for name, pair in masks.regions.items()
    }
    found: dict[str, float] = {}
    for name, bounds in intervals_around(fits, quality, areas, ratio, masks.truth.size).items():
        true, unit = truths[name]
        known = (nan, nan, nan) if bounds is None or true is None else (*bounds, true)
        pairs = zip(("low", "high", "true"), known, strict=True)
        found |= {f"{name}/{end}": value / unit for end, value in pairs}
    return found


def _predicted_shares(
    outputs: Mapping[str, NDArray[Any]], members: Mapping[str, list[int]], placement: Placement
) -> dict[str, Any]:
    """Predicted shares of the picture, at the network's resolution: the same with and without a mask."""
    predicted = outputs["mask_probability"].argmax(axis=-1)
    share = placement.share_of_picture
    return {
        "foreground": share(predicted > 0),
        "shares": {name: share(np.isin(predicted, indices)) for name, indices in members.items()},
    }


def measure_image(
    row: Row,
    label: int,
    outputs: Mapping[str, NDArray[Any]],
    mask: NDArray[Any] | None,
    info: DatasetInfo,
    placement: Placement | None = None,
    decision: str = "",
    card: ModelCard | None = None,
    agreement: NDArray[Any] | None = None,
) -> ImageMeasure:
    """Measures one image.

    Args:
        row: its line of the manifest.
        label: class index or -1.
        outputs: the contract's arrays of this image, without the batch axis.
        mask: ``(H, W)`` true class indices at original size, or None. Pixels whose class is not known are
            left out; what they count for regions, see ``region_pair``.
        info: the data set's classes, unions and spacing.
        placement: where the picture lay in the network's input; None where it was stretched to it. Pixels
            that the network did not read count as background without evidence.
        decision: what is decided on the prediction, "" where no thresholds were given.
        card: of the model, whose mask quality, intervals and calibration are measured; None for none.
        agreement: ``(H, W, C)`` share of several experts that chose each class, or None.
    """
    size = outputs["mask_probability"].shape[:2]
    placement = placement or place("stretch", size if mask is None else mask.shape, size)
    members = region_members(info.pixel_classes, info.unions)
    shown = {name: placement.shown(o) if name.startswith("mask_") else o for name, o in outputs.items()}
    quality = mask_quality(shown, members, card.mask_quality if card else {})
    measure: dict[str, Any] = {
        "image": row.image,
        "subject": row.subject,
        "label": label,
        "probability": outputs["class_probability"].astype(np.float64),
        "belief": outputs["class_belief"].astype(np.float64),
        "class_uncertainty": float(outputs["class_uncertainty"][0]),
        "source": row.dataset,
        "decision": decision,
        "mask_uncertainty": float(shown["mask_uncertainty"].mean()),
        "class_confidence": class_confidence(outputs),
        "mask_confidence": float(mask_confidence(shown).mean()),
        "familiarity": familiarity(outputs),
        "grade_disagreement": grade_disagreement(row.grade_counts),
        "region_found": nan if placement.around is None else float(not placement.missing),
        **_predicted_shares(outputs, members, placement),
        "quality": {name: nan if value is None else value for name, value in quality.items()},
    }
    known = None if mask is None else class_is_known(mask)
    if mask is None or known is None or not known.any():
        return ImageMeasure(**measure)
    probability = placement.restored(outputs, "mask_probability")
    uncertainty = placement.restored(outputs, "mask_uncertainty")[..., 0]
    confidence = restored_confidence(outputs, placement, probability)
    predicted = probability.argmax(axis=-1)
    correct = (predicted == mask)[known]
    pixels = PixelMaps(confidence[known], correct)
    belief = placement.restored(outputs, "mask_belief")[known]
    scores = pixel_scores(probability[known], belief, uncertainty[known], pixels.confidence)
    counts = {name: metric.count(pixels) for name, metric in metrics_of_kind(PixelMetric).items()}
    if card is not None:
        temperature = card.trust.mask_temperature
        counts |= stage_counts(probability[known], pixels.confidence, correct, temperature)
    counts |= {f"{ERRORS_BY}{n}": error_histogram(score, ~correct) for n, score in scores.items()}
    experts = {} if agreement is None else experts_seen(agreement[known], predicted[known], scores)
    classes = info.pixel_classes[1:]
    of_classes = [quality[name] for name in classes] if quality.keys() >= set(classes) else []
    pair = mask_pair(mask, predicted, info, row.pixel_size)
    return ImageMeasure(
        **measure,
        values=_values(pair),
        counts={name: packed(array) for name, array in counts.items()},
        mask_doubts=mask_doubts(shown, of_classes),
        experts=experts,
        intervals=_intervals(pair, quality, card.intervals if card else {}),
    )
