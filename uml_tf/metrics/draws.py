"""Metrics of many resamples of the same images, told by how often each image was drawn.

What a metric needs of an image (its squared error, its place in the order of a score) does not depend on the
resample. It is found once; of a resample only sums are left, weighted by the counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[Any]

OfDraws = Callable[[Array], Array]
"""From ``(D, N)`` float64, how often each of N images was drawn in each of D resamples, to ``(D,)`` values.

Counts are whole numbers, at least one of each resample above 0; nan where a value is undefined.
"""

_COUNTS = 1 << 17
"""Counts that are computed on at once: arrays of 1 MB."""
_IMAGES = 2048


def divided(part: Array, whole: Array) -> Array:
    """``part / whole``; nan where the whole is 0."""
    return part / np.where(whole == 0, np.nan, whole)


def rows_drawn(draw: Array) -> NDArray[np.intp]:
    """Indices of the drawn images, repeats included, in the order of the images.

    Args:
        draw: ``(N,)`` how often each was drawn.
    """
    return np.repeat(np.arange(len(draw)), draw.astype(np.intp))


def of_rows(value: Callable[..., float], *arrays: Array) -> OfDraws:
    """A metric that knows of no counts: it gets the rows of the drawn images, repeated.

    Args:
        value: from the rows of the arrays to the metric.
        arrays: ``(N, ...)`` each.
    """
    # Column by column in the memory, where the largest of a row's few numbers is found far faster.
    columns = [np.ascontiguousarray(array.T) for array in arrays]

    def values(draws: Array) -> Array:
        drawn = (rows_drawn(draw) for draw in draws)
        return np.array([value(*(column[..., index].T for column in columns)) for index in drawn])

    return values


def sums_of_draws(draws: Array, counts: Sequence[ArrayLike]) -> Array:
    """``(D, ...)`` sums over the drawn images of their counts; the more resamples at a time, the faster.

    A few images at a time, so that packed counts are nowhere all unpacked.

    Args:
        draws: ``(D, N)`` of any type.
        counts: of N images, at least one, each of the same shape.
    """
    shape = np.shape(counts[0])
    total = np.zeros((len(draws), prod(shape)))
    for start in range(0, len(counts), _IMAGES):
        part = slice(start, start + _IMAGES)
        some = np.stack([np.asarray(one) for one in counts[part]]).reshape(-1, prod(shape))
        filled = some.any(axis=0)
        total[:, filled] += draws[:, part].astype(np.float64) @ some[:, filled].astype(np.float64)
    return total.reshape(len(draws), *shape)


def in_parts(values: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """The same of counts of any type: a few resamples at a time in float64, which stay near the processor."""

    def of(draws: Array) -> Array:
        rows = max(1, _COUNTS // draws.shape[1])
        parts = (draws[start : start + rows] for start in range(0, len(draws), rows))
        return np.concatenate([values(part.astype(np.float64)) for part in parts])

    return of


def mean_of_draws(values: Array) -> OfDraws:
    """The mean of ``(N,)`` numbers over the drawn images."""
    numbers = np.asarray(values, np.float64)
    # Not a product by the library of linear algebra, whose threads wait for each other by spinning.
    return lambda draws: np.einsum("dn,n->d", draws, numbers) / draws.sum(axis=1)
