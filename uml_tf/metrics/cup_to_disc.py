"""Errors of the vertical cup-to-disc ratio, and of the disc that it needs."""

from __future__ import annotations

from math import nan

from uml_tf.metrics.masks import MaskPair
from uml_tf.metrics.metric import METRICS, MaskMetric
from uml_tf.runtime.cup_to_disc import vertical_cup_to_disc_ratio


def _ratios(masks: MaskPair) -> tuple[float | None, float | None]:
    """True and predicted ratio; None without a disc."""
    truth, predicted = (
        vertical_cup_to_disc_ratio(mask, masks.pixel_classes) for mask in (masks.truth, masks.predicted)
    )
    return truth, predicted


def cup_to_disc_error(masks: MaskPair) -> float:
    """|predicted - true| vertical cup-to-disc ratio, in [0, 1]; nan when either disc is empty."""
    truth, predicted = _ratios(masks)
    return nan if truth is None or predicted is None else abs(truth - predicted)


def disc_missed(masks: MaskPair) -> float:
    """1 when there is a disc and none was predicted, 0 when one was; nan when there is no disc."""
    truth, predicted = _ratios(masks)
    return nan if truth is None else float(predicted is None)


METRICS.add(
    "cup_to_disc_error",
    MaskMetric(
        value=cup_to_disc_error,
        better="lower",
        pixel_classes=("rim", "cup"),
        description="mean absolute error of the vertical cup-to-disc ratio, over the images with a disc in "
        "which one was found (`images` states how many); to be read with `disc_missed`",
    ),
)
METRICS.add(
    "disc_missed",
    MaskMetric(
        value=disc_missed,
        better="lower",
        pixel_classes=("rim", "cup"),
        description="share of the images with a disc in which no disc was found",
    ),
)
