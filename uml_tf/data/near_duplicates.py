"""Near-duplicate images: copies, crops and repeated photographs, found by two tests of their pixels.

The first test compares the coarse brightness (``difference_hash``). Photographs that are all framed alike
pass it though they show different patients. So a pair must also agree in its fine detail, such as vessels and
speckle, in the middle of the picture, where no frame reaches (``uml_tf.data.image_detail``). Measured:

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

from uml_tf.data.hash_pairs import NearPairs, near_pair_parts
from uml_tf.data.image_detail import detail_map, pair_correlations
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


@dataclass(frozen=True)
class Signature:
    """What is compared of an image.

    Attributes:
        hash: ``(256,)`` bool, of ``difference_hash``.
        detail: ``(36, 36)`` float16, of ``detail_map``.
    """

    hash: NDArray[np.bool_]
    detail: NDArray[np.float16]


def signature(image: NDArray[Any]) -> Signature:
    """The signature of an RGB ``(H, W, 3)`` uint8 image."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return Signature(_difference_hash(grey), detail_map(grey))


def difference_hash(image: NDArray[Any]) -> NDArray[np.bool_]:
    """256 bits of an RGB ``(H, W, 3)`` uint8 image: whether each cell is brighter than its left neighbour.

    Source: Krawetz, "Kind of Like That", 2013 (dHash), at 16 x 16.
    """
    return _difference_hash(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))


def _difference_hash(grey: NDArray[Any]) -> NDArray[np.bool_]:
    small = resize_antialiased(grey, (HASH_SIDE, HASH_SIDE + 1))
    return (np.diff(small, axis=1) > 0).ravel()


def near_duplicates(
    signatures: Sequence[Signature], max_distance: int, min_detail: float = MIN_DETAIL
) -> NearPairs:
    """All pairs of images that pass both tests.

    Args:
        signatures: of the images.
        max_distance: most differing bits of the hashes, 0 to 256.
        min_detail: least correlation of the detail, in [-1, 1].
    """
    details = [one.detail for one in signatures]
    parts = near_pair_parts([one.hash for one in signatures], max_distance)
    return NearPairs.joined([part.chosen(pair_correlations(details, part) >= min_detail) for part in parts])


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
