"""Counts of one image in little memory: of the bins of a histogram most are empty."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

Array = NDArray[Any]

_EXACT = 1 << 53
"""Up to here float64 holds every whole number."""


@dataclass(frozen=True, slots=True)
class PackedCounts:
    """An array of counts, deflated without loss; functions of NumPy take it as the array.

    Attributes:
        shape: of the array.
        dtype: of the array; the narrowest unsigned one if all counts are whole numbers.
        deflated: its bytes, those of equal weight beside each other.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    deflated: bytes

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> Array:
        """The array of counts, always a new one."""
        planes = np.frombuffer(zlib.decompress(self.deflated), np.uint8).reshape(self.dtype.itemsize, -1)
        counts = np.ascontiguousarray(planes.T).view(self.dtype).reshape(self.shape, order="F")
        return counts if dtype is None else counts.astype(dtype)


def packed(counts: Array) -> PackedCounts:
    """Packs the counts of one image, of any shape."""
    narrow = _narrow(counts)
    # Column by column, the high bytes, which are mostly 0, beside each other: a quarter less than in order.
    planes = np.ascontiguousarray(narrow.ravel(order="F")[:, None].view(np.uint8).T)
    return PackedCounts(_shared(counts.shape), narrow.dtype, zlib.compress(planes.tobytes(), 1))


def _narrow(counts: Array) -> Array:
    """The same numbers, in the narrowest unsigned type if they are whole and none is below 0."""
    most = counts.max(initial=0)
    if most > _EXACT or counts.min(initial=0) < 0 or not np.array_equal(counts, np.floor(counts)):
        return counts
    return counts.astype(np.min_scalar_type(int(most)))


@lru_cache(maxsize=64)
def _shared(shape: tuple[int, ...]) -> tuple[int, ...]:
    """One tuple for all counts of that shape."""
    return shape
