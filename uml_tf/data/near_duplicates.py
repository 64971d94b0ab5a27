"""Near-duplicate images: copies, crops and repeated photographs, found by two tests of their pixels.

The first test compares the coarse brightness (``difference_hash``). Photographs that are all framed alike
pass it though they show different patients. So a pair must also agree in its fine detail, such as vessels and
speckle, in the middle of the picture, where no frame reaches (``detail_correlations``). Measured:

=========================  ======  =================  ==================================================
images                     bits    pairs by the hash  pairs by both tests
=========================  ======  =================  ==================================================
BUSI, 529 of the breast    24      119                119 (431 groups), least correlation .73
ORIGA, 400 of the fundus   24      11586              6, each of one eye
ORIGA, 400 of the fundus   48      50880              8, each of one eye: .77 to .94; the others below .65
Drishti, 50 of the fundus  48      314                0, all below .57
ISIC 2017, 98 of the skin  48      3                  0, all below .55
=========================  ======  =================  ==================================================

Of copies made from 20 images of each set, the least correlation of the detail is .93 after JPEG at quality
50, .91 after a change of brightness, .85 under a cursor and a text, .95 and .72 after a crop by 2 and 5 %,
.66 after a rotation by 3 degrees and .71 after a shift by 2 %. A crop by 10 % is not found (.32).
"""

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
430 groups of 529 images."""
PHOTOGRAPH_DISTANCE = 48
"""For photographs of the eye and the skin: those of one eye in ORIGA differ in up to 42 bits."""
MIN_DETAIL = 0.70
"""Least correlation of the detail of near-duplicates, in [-1, 1]."""
_BLOCK = 1024

_DETAIL_SIDE = 48
_DETAIL_SIGMA = 1.5
_MIDDLE = slice(10, 38)
_SHIFTS = range(-4, 5)
_LEAST_DEVIATION = 0.05


@dataclass(frozen=True)
class Signature:
    """What is compared of an image.

    Attributes:
        hash: ``(256,)`` bool, of ``difference_hash``.
        detail: ``(48, 48)`` float32, of ``_detail_map``.
    """

    hash: NDArray[np.bool_]
    detail: NDArray[np.float32]


def signature(image: NDArray[Any]) -> Signature:
    """The signature of an RGB ``(H, W, 3)`` uint8 image."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return Signature(_difference_hash(grey), _detail_map(grey))


def difference_hash(image: NDArray[Any]) -> NDArray[np.bool_]:
    """256 bits of an RGB ``(H, W, 3)`` uint8 image: whether each cell is brighter than its left neighbour.

    Source: Krawetz, "Kind of Like That", 2013 (dHash), at 16 x 16.
    """
    return _difference_hash(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))


def _difference_hash(grey: NDArray[Any]) -> NDArray[np.bool_]:
    small = resize_antialiased(grey, (HASH_SIDE, HASH_SIDE + 1))
    return (np.diff(small, axis=1) > 0).ravel()


def _detail_map(grey: NDArray[Any]) -> NDArray[np.float32]:
    """``(48, 48)`` brightness less that of the surroundings, over its local deviation.

    So neither illumination nor contrast decides, and a bright frame counts no more than a vessel.
    """
    small = resize_antialiased(grey, (_DETAIL_SIDE, _DETAIL_SIDE))
    detail = small - cv2.GaussianBlur(small, (0, 0), _DETAIL_SIGMA)
    deviation = np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), 2 * _DETAIL_SIGMA))
    return (detail / (deviation + 1.0)).astype(np.float32)


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


def _windows(details: NDArray[Any], row: int, column: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """The middles of ``(N, 48, 48)`` maps, moved by some pixels.

    Returns:
        ``(N, D)`` of length 1, and ``(N,)`` bool: whether they show any detail.
    """
    rows, columns = (slice(_MIDDLE.start + s, _MIDDLE.stop + s) for s in (row, column))
    flat = details[:, rows, columns].reshape(len(details), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(flat, axis=1, keepdims=True)
    has_detail = norm[:, 0] > _LEAST_DEVIATION * np.sqrt(flat.shape[1])
    return flat / np.maximum(norm, 1e-6), has_detail


def detail_correlations(first: Sequence[Signature], second: Sequence[Signature]) -> NDArray[np.float32]:
    """``(N, M)`` correlations of the detail of N with that of M images, in [-1, 1]; 1 where one has none.

    The largest over shifts by up to 4 pixels of 48, since repeated photographs are never aligned.
    """
    moved = np.stack([one.detail for one in first])
    fixed, fixed_has_detail = _windows(np.stack([one.detail for one in second]), 0, 0)
    best = np.full((len(first), len(second)), -1, np.float32)
    for row in _SHIFTS:
        for column in _SHIFTS:
            windows, has_detail = _windows(moved, row, column)
            np.maximum(best, windows @ fixed.T, out=best)
            best[~has_detail] = 1
    best[:, ~fixed_has_detail] = 1
    return best


def near_duplicates(
    signatures: Sequence[Signature], max_distance: int, min_detail: float = MIN_DETAIL
) -> NearPairs:
    """All pairs of images that pass both tests.

    Args:
        signatures: of the images.
        max_distance: most differing bits of the hashes, 0 to 256.
        min_detail: least correlation of the detail, in [-1, 1].
    """
    pairs = near_pairs([one.hash for one in signatures], max_distance)
    passed = np.zeros(len(pairs.first), bool)
    for start in range(0, len(signatures), _BLOCK):
        here = np.flatnonzero((pairs.first >= start) & (pairs.first < start + _BLOCK))
        if len(here):
            rows, row = np.unique(pairs.first[here], return_inverse=True)
            columns, column = np.unique(pairs.second[here], return_inverse=True)
            detail = detail_correlations([signatures[i] for i in rows], [signatures[j] for j in columns])
            passed[here] = detail[row, column] >= min_detail
    return NearPairs(pairs.first[passed], pairs.second[passed], pairs.distance[passed])


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
