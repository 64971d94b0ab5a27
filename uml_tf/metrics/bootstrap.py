"""Bootstrap 95 % intervals over images."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1000
LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A metric with its interval.

    Attributes:
        value: on the images themselves; None where the metric is undefined.
        low, high: 2.5th and 97.5th percentile over resampled images; None likewise.
    """

    value: float | None
    low: float | None
    high: float | None


def bootstrap(statistic: Callable[[NDArray[np.intp]], float], images: int, seed: int = 0) -> Estimate:
    """Percentile bootstrap of a statistic of image indices.

    Resamples on which the statistic is undefined (nan) are left out.

    Args:
        statistic: from ``(n,)`` indices, repeats included, to the metric.
        images: number of images.
        seed: equal seeds give equal intervals.
    """
    if images == 0:
        return Estimate(None, None, None)
    value = statistic(np.arange(images))
    if np.isnan(value):
        return Estimate(None, None, None)
    rng = np.random.default_rng(seed)
    draws = np.array([statistic(rng.integers(0, images, images)) for _ in range(RESAMPLES)])
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.nanpercentile(draws, [tail, 100 - tail])
    return Estimate(float(value), float(low), float(high))


def bootstrap_mean(values: NDArray[Any], seed: int = 0) -> Estimate:
    """``bootstrap`` of the mean of per-image values ``(N,)``; nan values are left out beforehand."""
    known = np.asarray(values, float)
    known = known[~np.isnan(known)]
    return bootstrap(lambda index: float(known[index].mean()), len(known), seed)


def bootstrap_sum(counts: NDArray[Any], statistic: Callable[[NDArray[Any]], Any], seed: int = 0) -> Estimate:
    """``bootstrap`` of a statistic of summed per-image counts ``(N, ...)``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return bootstrap(lambda index: float(statistic(counts[index].sum(axis=0))), len(counts), seed)
