"""Calibration error over bins that hold equally many images."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from uml_tf.metrics.calibration import BINS
from uml_tf.metrics.metric import METRICS, ConfidenceMetric


def adaptive_calibration_error(confidence: NDArray[Any], correct: NDArray[Any]) -> float:
    """Mean |share correct - mean confidence| over 15 bins of equally many images, weighted by their number.

    Bins of equal width are empty where no confidence falls, as below 0.5 for two classes; these never are.
    With few images in a bin chance alone makes it larger than 0. Images of equal confidence share their
    number of correct ones, so that the order of the input never matters.

    Args:
        confidence: ``(N,)`` in [0, 1], N at least 1.
        correct: ``(N,)`` bool.

    Source: Nguyen and O'Connor, "Posterior calibration and exploratory analysis", EMNLP 2015.
    """
    _, place, count = np.unique(confidence, return_inverse=True, return_counts=True)
    shared = np.bincount(place, correct.astype(float)) / count
    order = np.argsort(confidence, kind="stable")
    gaps = np.array_split((shared[place] - confidence)[order], min(BINS, len(order)))
    return float(sum(abs(gap.sum()) for gap in gaps) / len(order))


METRICS.add(
    "adaptive_ece",
    ConfidenceMetric(
        value=adaptive_calibration_error,
        better="lower",
        description="expected calibration error, 15 bins of equally many images (Nguyen and O'Connor, 2015)",
    ),
)
