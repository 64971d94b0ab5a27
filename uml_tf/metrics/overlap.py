"""Overlap of a predicted with a true region."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def dice(truth: NDArray[Any], predicted: NDArray[Any]) -> float:
    """2 |A and B| / (|A| + |B|) of two boolean masks, in [0, 1]; nan when the truth is empty.

    An image without the region says nothing of how well it is found; a region predicted there is
    counted by the false-positive area instead.
    """
    if not truth.any():
        return float("nan")
    return float(2 * (truth & predicted).sum() / (truth.sum() + predicted.sum()))


def intersection_over_union(truth: NDArray[Any], predicted: NDArray[Any]) -> float:
    """|A and B| / |A or B| of two boolean masks, in [0, 1]; nan when the truth is empty."""
    if not truth.any():
        return float("nan")
    return float((truth & predicted).sum() / (truth | predicted).sum())


def false_positive_area(truth: NDArray[Any], predicted: NDArray[Any]) -> float:
    """Share of the image that is predicted where there is none, in [0, 1]; nan if there is one."""
    return float("nan") if truth.any() else float(np.mean(predicted))
