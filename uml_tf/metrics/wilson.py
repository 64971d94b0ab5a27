"""Interval of a share: which true shares a count does not contradict."""

from __future__ import annotations

import math

NORMAL_QUANTILE = 1.959964
"""97.5th percentile of the standard normal distribution."""


def wilson_interval(count: int, total: int) -> tuple[float, float]:
    """The 95 % score interval of a proportion, in [0, 1].

    Unlike value +- 2 standard errors, it is not empty where all or none are counted.

    Args:
        count: of those that have the property, 0 to ``total``.
        total: at least 1.

    Source: Wilson, "Probable inference, the law of succession, and statistical inference", JASA 1927.
    """
    share, squared = count / total, NORMAL_QUANTILE**2 / total
    middle = (share + squared / 2) / (1 + squared)
    half = math.sqrt(share * (1 - share) * squared + squared**2 / 4) / (1 + squared)
    return max(0.0, middle - half), min(1.0, middle + half)
