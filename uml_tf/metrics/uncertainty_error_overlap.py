"""Overlap of the uncertain pixels with the wrong ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uml_tf.metrics.error_histogram import counts_above
from uml_tf.metrics.metric import METRICS, PixelScoreMetric

Array = NDArray[Any]


def error_overlap_counts(histogram: Array) -> Array:
    """``(..., BINS, 3)`` per threshold: pixels uncertain and wrong, uncertain, wrong.

    Args:
        histogram: ``(..., BINS, 2)`` of ``error_histogram``.
    """
    above = counts_above(histogram)
    wrong = np.broadcast_to(above[..., :1, :1], (*above.shape[:-1], 1))
    return np.concatenate([above, wrong], axis=-1)


def error_overlap(counts: Array) -> Array:
    """Dice of the uncertain and the wrong pixels, ``(...)`` of ``(..., 3)`` counts; nan if both are empty."""
    total = counts[..., 1] + counts[..., 2]
    return 2 * counts[..., 0] / np.where(total > 0, total, np.nan)


def overlap_at_best_threshold(histogram: Array) -> Callable[[Array], float]:
    """The overlap, as a function of a histogram, at the threshold where it is largest for this one."""
    best = int(np.argmax(np.nan_to_num(error_overlap(error_overlap_counts(histogram)))))
    return lambda other: float(error_overlap(error_overlap_counts(other)[best]))


METRICS.add(
    "mask_uncertainty_error_overlap",
    PixelScoreMetric(
        value=lambda histogram: overlap_at_best_threshold(histogram)(histogram),
        of_all=overlap_at_best_threshold,
        better="higher",
        description="Dice of the uncertain with the wrong pixels, at the one threshold that is best for the "
        "split: optimistic, for comparing models on one split",
    ),
)
