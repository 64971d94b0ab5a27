"""Overlap of the uncertain pixels with the wrong ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from uml_tf.metrics.masks import PixelMaps
from uml_tf.metrics.metric import METRICS, PixelMetric

Array = NDArray[Any]

THRESHOLDS = np.geomspace(1e-3, 1.0, 61)


def error_overlap_counts(pixels: PixelMaps) -> Array:
    """``(T, 3)`` per threshold: pixels uncertain and wrong, uncertain, wrong. Counts of images add up."""
    wrong = ~pixels.correct
    index = np.searchsorted(THRESHOLDS, pixels.uncertainty.ravel(), side="right")
    size = len(THRESHOLDS) + 1
    both = np.bincount(index, wrong.ravel().astype(float), size)
    every = np.bincount(index, minlength=size).astype(float)
    # A pixel is uncertain at a threshold when it lies above it: sums from the top.
    above = [np.cumsum(counts[::-1])[::-1][1:] for counts in (both, every)]
    return np.stack([*above, np.full(size - 1, both.sum())], axis=1)


def error_overlap(counts: Array) -> Array:
    """Dice of the uncertain and the wrong pixels, ``(...)`` of ``(..., 3)`` counts; nan if both are empty."""
    total = counts[..., 1] + counts[..., 2]
    return 2 * counts[..., 0] / np.where(total > 0, total, np.nan)


def counts_at_best_threshold(counts: Array) -> Array:
    """``(N, 3)`` counts at the threshold whose overlap over all images is largest, of ``(N, T, 3)``."""
    overlap = np.nan_to_num(error_overlap(counts.sum(axis=0)))
    return counts[:, int(np.argmax(overlap))]


METRICS.add(
    "mask_uncertainty_error_overlap",
    PixelMetric(
        count=error_overlap_counts,
        select=counts_at_best_threshold,
        value=lambda total: float(error_overlap(total)),
        better="higher",
        description="Dice of the uncertain with the wrong pixels, at the one threshold that is best for the "
        "split: optimistic, for comparing models on one split",
    ),
)
