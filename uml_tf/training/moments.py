"""Mean and scatter of many vectors that are never all in memory."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Moments:
    """Number, mean and scatter of vectors, of which some are added at a time; memory is that of ``(D, D)``.

    Deviations are taken from the mean of the added vectors, and the two means are then merged, so that no
    large squares cancel.

    Source: Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample
    variances", 1979.

    Attributes:
        count: number of vectors, N.
        mean: ``(D,)`` float64.
        scatter: ``(D, D)`` float64, the sum of the outer products of the deviations from the mean.
    """

    def __init__(self, size: int) -> None:
        self.count = 0
        self.mean: Array = np.zeros(size)
        self.scatter: Array = np.zeros((size, size))

    @classmethod
    def of(cls, vectors: Array) -> Moments:
        """Of vectors ``(N, D)``, N at least 1."""
        moments = cls(vectors.shape[1])
        moments.add(vectors)
        return moments

    def add(self, vectors: Array) -> None:
        """Adds vectors ``(N, D)`` of any number type, N at least 1."""
        given = np.asarray(vectors, np.float64)
        added, mean = len(given), given.mean(axis=0)
        count = self.count + added
        shift = mean - self.mean
        between = np.sqrt(self.count * added / count) * shift
        deviations = np.vstack([given - mean, between])
        self.scatter += deviations.T @ deviations
        self.mean = self.mean + shift * (added / count)
        self.count = count

    @property
    def deviation(self) -> Array:
        """``(D,)`` standard deviation, over N."""
        return np.sqrt(np.diag(self.scatter) / self.count)


def moments_of(batches: Iterable[tuple[Array, ...]]) -> tuple[Moments, ...]:
    """The moments of several kinds of vectors, which come in batches.

    Args:
        batches: at least one; each has vectors ``(N, D)`` of every kind.
    """
    remaining = iter(batches)
    moments = tuple(Moments.of(vectors) for vectors in next(remaining))
    for batch in remaining:
        for one, vectors in zip(moments, batch, strict=True):
            one.add(vectors)
    return moments
