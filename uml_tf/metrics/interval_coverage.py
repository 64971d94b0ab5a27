"""Do the intervals of what is measured hold the true value as often as they say, and how wide are they?"""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uml_tf.metrics.draws import mean_of_draws
from uml_tf.metrics.metric import METRICS, IntervalMetric

Array = NDArray[Any]


def coverage(low: Array, high: Array, truth: Array) -> float:
    """Share of the ``(N,)`` intervals, ends included, that hold the true value, in [0, 1]."""
    return float(_held(low, high, truth).mean())


def _held(low: Array, high: Array, truth: Array) -> Array:
    return (low <= truth) & (truth <= high)


METRICS.add(
    "interval_coverage",
    IntervalMetric(
        value=coverage,
        of_draws=lambda low, high, truth: mean_of_draws(_held(low, high, truth)),
        better="higher",
        description="share of the 90 % intervals that hold the true value; .9 is what they promise",
    ),
)
METRICS.add(
    "interval_width",
    IntervalMetric(
        value=lambda low, high, truth: float(np.mean(high - low)),
        of_draws=lambda low, high, truth: mean_of_draws(high - low),
        better="lower",
        bounds=(0.0, inf),
        description="mean width of the intervals, of areas as a share of the predicted area",
    ),
)
