"""Calibration of pixels from counts that add up over images: ECE, adaptive ECE, Brier score."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from uml_tf.metrics.calibration import BINS

Array = NDArray[Any]

FINE = 20 * BINS
"""Bins of the counts, so many that bins of equal width and of equal number can both be made of them."""


def calibration_counts(confidence: Array, correct: Array) -> Array:
    """``(FINE, 4)``: per bin of confidence the count, its sum, the number correct; summed squared errors.

    The squared error of all bins stands in the first: only its sum is needed, and in every bin it would take
    the most room. In files of earlier versions each bin has its own.

    Args:
        confidence: ``(N,)`` in the chosen class, in [0, 1].
        correct: ``(N,)`` bool, whether it is the true one.
    """
    index = np.clip((confidence * FINE).astype(int), 0, FINE - 1)
    counts = np.zeros((FINE, 4))
    for column, weights in enumerate((None, confidence, correct.astype(float))):
        counts[:, column] = np.bincount(index, weights, minlength=FINE)
    counts[0, 3] = np.square(confidence - correct, dtype=np.float64).sum()
    return counts


def _error(counts: Array, group: Array) -> float:
    gaps = np.bincount(group, counts[:, 2] - counts[:, 1], minlength=BINS)
    total = counts[:, 0].sum()
    return float(np.abs(gaps).sum() / total) if total else float("nan")


def counted_ece(counts: Array) -> float:
    """Expected calibration error over bins of equal width, in [0, 1], of ``(FINE, 4)`` counts."""
    return _error(counts, np.arange(FINE) * BINS // FINE)


def counted_adaptive_ece(counts: Array) -> float:
    """The same over bins of about equal number."""
    middle = np.cumsum(counts[:, 0]) - counts[:, 0] / 2
    return _error(counts, np.minimum(middle * BINS // max(counts[:, 0].sum(), 1), BINS - 1).astype(int))


def counted_brier(counts: Array) -> float:
    """Mean squared difference of the confidence from 1 (right) or 0 (wrong), in [0, 1]."""
    total = counts[:, 0].sum()
    return float(counts[:, 3].sum() / total) if total else float("nan")
