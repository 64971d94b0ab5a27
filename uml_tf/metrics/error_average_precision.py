"""Average precision of finding the wrong pixels by a score of doubt."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from uml_tf.metrics.error_histogram import counts_above
from uml_tf.metrics.metric import METRICS, PixelScoreMetric


def error_average_precision(histogram: NDArray[Any]) -> float:
    """Sum of precision times the gain in recall, from the most to the least doubtful pixels.

    Pixels of one bin are taken as equally doubtful. A score that says nothing reaches the share of wrong
    pixels.

    Args:
        histogram: ``(BINS, 2)`` of ``uml_tf.metrics.error_histogram``.

    Returns:
        In [0, 1]; nan where no pixel is wrong.
    """
    wrong, every = counts_above(histogram).T
    if not wrong[0]:
        return float("nan")
    precision = wrong / np.maximum(every, 1)
    return float((precision * histogram[:, 0]).sum() / wrong[0])


METRICS.add(
    "mask_error_average_precision",
    PixelScoreMetric(
        value=error_average_precision,
        better="higher",
        description="average precision of finding the wrong pixels; a score that says nothing reaches their "
        "share of all pixels",
    ),
)
