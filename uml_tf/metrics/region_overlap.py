"""Overlap of a predicted region with the true one."""

from __future__ import annotations

import numpy as np

from uml_tf.metrics.masks import MaskPair, RegionPair
from uml_tf.metrics.metric import METRICS, MaskMetric, RegionMetric


def dice(pair: RegionPair) -> float:
    """2 |A and B| / (|A| + |B|), in [0, 1]; nan when the true region is empty.

    An image without the region does not show how well the region is found; a region that is predicted
    there is counted by ``false_positive_area`` instead.
    """
    if not pair.true_area:
        return float("nan")
    return 2 * pair.common_area / (pair.true_area + pair.predicted_area)


def intersection_over_union(pair: RegionPair) -> float:
    """|A and B| / |A or B|, in [0, 1]; nan when the true region is empty."""
    if not pair.true_area:
        return float("nan")
    return pair.common_area / (pair.true_area + pair.predicted_area - pair.common_area)


def false_positive_area(pair: RegionPair) -> float:
    """Share of the image that is predicted as the region where there is none, in [0, 1]; else nan."""
    return float("nan") if pair.true_area else pair.predicted_area / pair.predicted.size


def mean_dice(masks: MaskPair) -> float:
    """Mean Dice over the regions that the image has, in [0, 1]; nan when it has none."""
    known = [value for value in map(dice, masks.regions.values()) if not np.isnan(value)]
    return sum(known) / len(known) if known else float("nan")


_ABSENT = "left out without the region, 0 when missed"

METRICS.add(
    "dice",
    RegionMetric(
        value=dice,
        better="higher",
        headline=True,
        description=f"2 * common area / sum of both areas; {_ABSENT}",
    ),
)
METRICS.add(
    "iou",
    RegionMetric(
        value=intersection_over_union,
        better="higher",
        description=f"intersection over union: common area / joint area; {_ABSENT}",
    ),
)
METRICS.add(
    "false_positive_area",
    RegionMetric(
        value=false_positive_area,
        better="lower",
        description="share of the image that is predicted as the region, where there is none",
    ),
)
METRICS.add(
    "mean_dice",
    MaskMetric(
        value=mean_dice,
        better="higher",
        margin=0.03,
        description="mean Dice over the regions that the image has",
    ),
)
