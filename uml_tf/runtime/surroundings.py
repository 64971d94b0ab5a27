"""What surrounds a pixel: means of maps over a square a third of the picture wide.

An error of a mask is seldom a single pixel: it is a region that was missed, or drawn where there is none. A
pixel that is drawn otherwise than most around it is wrong more often than its own probability says.

Every function takes the array module as ``xp`` (``numpy`` by default, ``keras.ops`` inside a network). There
is no matrix product in it: exporters would take one for a layer of the network and round its weights.
"""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uml_tf.runtime.images import at_original_size

SHARE = 1 / 3
"""Width of the square, as a share of the picture's shorter side."""

_FEWEST_CELLS = 16
"""The means are taken over a grid of at least as many cells along the shorter side, where it divides so."""


def _cell(height: int, width: int) -> int:
    """Side of a cell in pixels: the largest power of two that divides both sides and leaves enough cells."""
    side = 1
    while math.gcd(height, width) % (2 * side) == 0 and min(height, width) // (2 * side) >= _FEWEST_CELLS:
        side *= 2
    return side


def _window(cells: int, width: float) -> NDArray[np.float32]:
    """``(cells, cells)``: the share that each cell has of the window about each, which ends at the border."""
    place = np.arange(cells)
    distance = np.abs(place[:, None] - place[None])
    covered = np.clip(width / 2 + 0.5 - distance, 0, 1)
    return np.asarray(covered / covered.sum(axis=1, keepdims=True), np.float32)


def _cell_means(maps: Any, cell: int, xp: ModuleType) -> Any:
    if hasattr(xp, "average_pool"):
        return xp.average_pool(maps, cell, cell, padding="valid", data_format="channels_last")
    batch, height, width, depth = maps.shape
    cells = maps.reshape(batch, height // cell, cell, width // cell, cell, depth)
    return cells.mean(axis=(2, 4), dtype=np.float32)


def _resized(maps: Any, size: tuple[int, int], xp: ModuleType) -> Any:
    if hasattr(xp, "image"):
        return xp.image.resize(maps, size, interpolation="bilinear", data_format="channels_last")
    return np.stack([at_original_size(np.ascontiguousarray(one), size) for one in maps])


def surroundings(maps: Any, xp: ModuleType = np) -> Any:
    """Means of ``(B, H, W, D)`` float32 maps over the square about each pixel, of the same shape.

    They are computed on a grid of cells and interpolated; at the border, over what of the square lies inside.

    Args:
        maps: H and W static.
        xp: ``numpy`` or ``keras.ops``.
    """
    height, width, depth = (int(side) for side in maps.shape[1:])
    cell = _cell(height, width)
    rows, columns = height // cell, width // cell
    wide = SHARE * min(rows, columns)
    means = _cell_means(maps, cell, xp)
    by_row = xp.reshape(means, (-1, 1, rows, columns * depth)) * _window(rows, wide)[None, :, :, None]
    means = xp.reshape(xp.sum(by_row, axis=2), (-1, 1, columns, depth))
    by_column = means * _window(columns, wide)[None, :, :, None]
    means = xp.reshape(xp.sum(by_column, axis=2), (-1, rows, columns, depth))
    return means if cell == 1 else _resized(means, (height, width), xp)
