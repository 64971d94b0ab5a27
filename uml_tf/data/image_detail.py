"""The fine detail of an image, such as vessels and speckle, and how far that of two images agrees."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from uml_tf.data.hash_pairs import NearPairs
from uml_tf.runtime.images import resize_antialiased

_SIDE = 48
_SIGMA = 1.5
_SHIFT = 4
_MARGIN = 10
_WINDOW = _SIDE - 2 * _MARGIN
_KEPT = slice(_MARGIN - _SHIFT, _SIDE - _MARGIN + _SHIFT)
_LEAST_DEVIATION = 0.05

_TILE = 1024
_DENSE = 64
"""A product of matrices takes one hundredth of the time, for a pair, of what a single pair takes."""


def detail_map(grey: NDArray[Any]) -> NDArray[np.float16]:
    """``(36, 36)``, the middle of 48 x 48: brightness less the surroundings', over its local deviation.

    So neither illumination nor contrast decides, and a bright frame counts no more than a vessel.

    Args:
        grey: ``(H, W)`` uint8.
    """
    small = resize_antialiased(grey, (_SIDE, _SIDE))
    detail = small - cv2.GaussianBlur(small, (0, 0), _SIGMA)
    deviation = np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), 2 * _SIGMA))
    return (detail / (deviation + 1.0))[_KEPT, _KEPT].astype(np.float16)


def _windows(details: NDArray[Any], row: int, column: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """The middles of ``(N, 36, 36)`` maps, moved by some pixels.

    Returns:
        ``(N, D)`` of length 1, and ``(N,)`` bool: whether they show any detail.
    """
    rows, columns = (slice(_SHIFT + s, _SHIFT + s + _WINDOW) for s in (row, column))
    flat = details[:, rows, columns].reshape(len(details), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(flat, axis=1, keepdims=True)
    has_detail = norm[:, 0] > _LEAST_DEVIATION * np.sqrt(flat.shape[1])
    return flat / np.maximum(norm, 1e-6), has_detail


def _best_correlations(
    moved: Sequence[NDArray[Any]],
    fixed: Sequence[NDArray[Any]],
    product: Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]],
) -> NDArray[np.float32]:
    """The largest product over shifts by up to 4 pixels of 48: repeated photographs are never aligned."""
    maps = np.stack(moved).astype(np.float32)
    windows, fixed_has_detail = _windows(np.stack(fixed).astype(np.float32), 0, 0)
    best: NDArray[np.float32] | None = None
    shifts = range(-_SHIFT, _SHIFT + 1)
    for row, column in ((row, column) for row in shifts for column in shifts):
        shifted, has_detail = _windows(maps, row, column)
        found = product(shifted, windows)
        found[~has_detail] = 1
        best = found if best is None else np.maximum(best, found, out=best)
    assert best is not None
    best[..., ~fixed_has_detail] = 1
    return best


def detail_correlations(first: Sequence[NDArray[Any]], second: Sequence[NDArray[Any]]) -> NDArray[np.float32]:
    """``(N, M)`` correlations of the detail of N with that of M images, in [-1, 1]; 1 where one has none.

    The largest over shifts by up to 4 pixels of 48.

    Args:
        first: ``detail_map`` of the N images.
        second: of the M images.
    """
    return _best_correlations(first, second, lambda one, other: one @ other.T)


def pair_correlations(details: Sequence[NDArray[Any]], pairs: NearPairs) -> NDArray[np.float32]:
    """``(N,)``, of each pair what ``detail_correlations`` has of it.

    Where many pairs lie in one tile of the matrix of all images, the tile is computed as a whole.

    Args:
        details: ``detail_map`` of every image.
        pairs: indices of these.
    """
    found = np.empty(len(pairs.first), np.float32)
    tile = (pairs.first // _TILE) * (len(details) // _TILE + 1) + pairs.second // _TILE
    order = np.argsort(tile, kind="stable")
    alone = [np.empty(0, np.intp)]
    for here in np.split(order, np.flatnonzero(np.diff(tile[order])) + 1):
        rows, row = np.unique(pairs.first[here], return_inverse=True)
        columns, column = np.unique(pairs.second[here], return_inverse=True)
        if len(rows) * len(columns) > _DENSE * len(here):
            alone.append(here)
        elif len(here):
            matrix = detail_correlations([details[i] for i in rows], [details[j] for j in columns])
            found[here] = matrix[row, column]
    single = np.concatenate(alone)
    for start in range(0, len(single), _TILE):
        here = single[start : start + _TILE]
        found[here] = _best_correlations(
            [details[i] for i in pairs.first[here]],
            [details[j] for j in pairs.second[here]],
            lambda one, other: np.einsum("nd,nd->n", one, other),
        )
    return found
