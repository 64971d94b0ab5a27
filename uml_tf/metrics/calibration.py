"""Calibration: does a confidence of 0.8 mean right 8 times of 10?"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 15


def calibration_histogram(confidence: NDArray[Any], correct: NDArray[Any]) -> NDArray[np.float64]:
    """``(BINS, 3)``: per equal-width confidence bin the count, summed confidence and number correct.

    Histograms of parts of the data add up to the histogram of the whole.

    Args:
        confidence: probability of the chosen class, any shape, in [0, 1].
        correct: whether it was right, same shape.
    """
    flat = confidence.ravel()
    index = np.clip((flat * BINS).astype(int), 0, BINS - 1)
    weights = (None, flat, correct.ravel().astype(float))
    return np.stack([np.bincount(index, w, minlength=BINS) for w in weights], axis=1).astype(float)


def calibration_error_of_histogram(histogram: NDArray[Any]) -> NDArray[Any]:
    """Expected calibration error of ``(..., BINS, 3)`` histograms, ``(...)`` in [0, 1]; nan if empty."""
    gap = np.abs(histogram[..., 1] - histogram[..., 2]).sum(axis=-1)
    total = histogram[..., 0].sum(axis=-1)
    return gap / np.where(total > 0, total, np.nan)


def expected_calibration_error(confidence: NDArray[Any], correct: NDArray[Any]) -> float:
    """Expected calibration error over 15 equal-width bins (Guo et al., 2017), in [0, 1]."""
    return float(calibration_error_of_histogram(calibration_histogram(confidence, correct)))
