"""Near-duplicate images, found by a perceptual hash."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from uml_tf.runtime.images import resize_antialiased

HASH_SIDE = 16
HASH_BITS = HASH_SIDE * HASH_SIDE
DEFAULT_DISTANCE = 24
"""Tuned on BUSI, where images of one lesion differ by cursors and crops: 20, 24 and 28 bits give 435, 431 and
430 groups of 529 images. Pictures that are all framed alike need less: of 400 ORIGA fundus photographs 11586
pairs, and of 1000 phantoms 7 pairs, are this close without being copies."""
_BLOCK = 1024


def difference_hash(image: NDArray[Any]) -> NDArray[np.bool_]:
    """256 bits of an RGB ``(H, W, 3)`` uint8 image: whether each cell is brighter than its left neighbour.

    Source: Krawetz, "Kind of Like That", 2013 (dHash), at 16 x 16.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    small = resize_antialiased(grey, (HASH_SIDE, HASH_SIDE + 1))
    return (np.diff(small, axis=1) > 0).ravel()


@dataclass(frozen=True)
class NearPairs:
    """Pairs of images whose hashes are close; N pairs.

    Attributes:
        first, second: ``(N,)`` indices of the images, first < second.
        distance: ``(N,)`` differing bits, 0 to 256.
    """

    first: NDArray[np.intp]
    second: NDArray[np.intp]
    distance: NDArray[np.intp]


def near_pairs(hashes: Sequence[NDArray[np.bool_]], max_distance: int) -> NearPairs:
    """All pairs of images whose hashes differ in at most ``max_distance`` bits.

    Args:
        hashes: ``difference_hash`` of each image.
        max_distance: in bits, 0 to 256.
    """
    bits = np.stack(hashes).astype(
        np.float32
    )  # a float matrix product is the fast one, and exact up to 2**24
    ones = bits.sum(axis=1)
    found: list[tuple[NDArray[Any], ...]] = []
    for start in range(0, len(bits), _BLOCK):
        block = slice(start, start + _BLOCK)
        distance = ones[block, None] + ones[None] - 2 * (bits[block] @ bits.T)
        rows, columns = np.nonzero(distance <= max_distance)
        upper = columns > rows + start
        rows, columns = rows[upper], columns[upper]
        found.append((rows + start, columns, distance[rows, columns].astype(np.intp)))
    return NearPairs(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def linked_groups(count: int, pairs: NearPairs | None, *known: Sequence[str]) -> NDArray[np.intp]:
    """Group number ``(count,)`` of each image, numbered in the order of the groups' first images.

    Links are transitive: a chain of near-duplicates is one group.

    Args:
        count: number of images.
        pairs: near-duplicates, which are linked; None for none.
        known: names ``(count,)``, e.g. of subjects; images with the same name, other than "", are linked.
    """
    # Here, because to import it takes longer than all else that a command's help needs.
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    rows: list[int] = [] if pairs is None else pairs.first.tolist()
    columns: list[int] = [] if pairs is None else pairs.second.tolist()
    for names in known:
        latest: dict[str, int] = {}
        for index, name in enumerate(names):
            if name and name in latest:
                rows.append(latest[name])
                columns.append(index)
            latest[name] = index
    links = coo_array((np.ones(len(rows)), (rows, columns)), shape=(count, count))
    return np.asarray(connected_components(links, directed=False)[1])
