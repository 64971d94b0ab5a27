"""Groups of images that are nearly the same, so that no split divides them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from uml_tf.runtime.images import resize_antialiased

HASH_SIDE = 16
MAX_DISTANCE = 24
"""Of 256 bits. On BUSI, where images of one lesion differ by cursors and crops, 20 to 28 give nearly the
same groups, and from 32 on unrelated images begin to join."""


def difference_hash(image: NDArray[Any]) -> NDArray[np.bool_]:
    """256 bits of an RGB ``(H, W, 3)`` uint8 image: is each cell brighter than its left neighbour?

    Source: Krawetz, "Kind of Like That", 2013 (dHash), at 16 x 16.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    small = resize_antialiased(grey, (HASH_SIDE, HASH_SIDE + 1))
    return (np.diff(small, axis=1) > 0).ravel()


def group_near_duplicates(
    hashes: Sequence[NDArray[np.bool_]],
    known: Sequence[str] | None = None,
    max_distance: int = MAX_DISTANCE,
) -> NDArray[np.intp]:
    """Group number of each image: linked when their hashes differ in at most ``max_distance`` bits.

    Links are transitive: a chain of near-duplicates is one group.

    Args:
        hashes: ``difference_hash`` of each image.
        known: a group known beforehand for each image, "" for none; equal ones are linked too.
        max_distance: in bits.
    """
    bits = np.stack(hashes).astype(np.int32)
    ones = bits.sum(axis=1)
    distance = ones[:, None] + ones[None, :] - 2 * (bits @ bits.T)
    linked = distance <= max_distance
    if known is not None:
        names = np.asarray(known)
        linked |= (names[:, None] == names[None, :]) & (names != "")[:, None]
    rows, columns = np.nonzero(np.triu(linked, k=1))
    links = coo_array((np.ones(len(rows)), (rows, columns)), shape=(len(bits), len(bits)))
    return np.asarray(connected_components(links, directed=False)[1])
