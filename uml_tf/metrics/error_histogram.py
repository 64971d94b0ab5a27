"""How many pixels, and how many wrong ones, have how much doubt: what the pixel metrics of a score need."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_LEAST = 1e-6
_BINS_A_DECADE = 48

BINS = round(-np.log10(_LEAST)) * _BINS_A_DECADE + 1
"""Bins of a histogram; neighbouring scores of one bin differ by less than 5 %."""

THRESHOLDS = _LEAST * 10 ** (np.arange(BINS) / _BINS_A_DECADE)
"""Least score of each bin; the first holds all smaller ones too."""


def error_histogram(score: Array, wrong: Array) -> Array:
    """``(BINS, 2)``: wrong pixels and all pixels of each bin. Histograms of images add up.

    Args:
        score: of pixels, any shape, in [0, 1], larger for more doubt.
        wrong: bool, same shape: whether the predicted class is another than the true one.
    """
    # Unlike a binary search in the thresholds, this takes a few milliseconds for a million pixels.
    place = np.log10(np.maximum(score.ravel(), _LEAST)) * _BINS_A_DECADE + (BINS - 1)
    index = np.clip(np.floor(place + 1e-9).astype(np.int32), 0, BINS - 1)
    counts = [np.bincount(index[wrong.ravel()], minlength=BINS), np.bincount(index, minlength=BINS)]
    return np.stack(counts, axis=1).astype(float)


def counts_above(histogram: Array) -> Array:
    """``(..., BINS, 2)``: wrong pixels and all pixels with at least the score of each threshold."""
    above: Array = np.cumsum(histogram[..., ::-1, :], axis=-2)[..., ::-1, :]
    return above
