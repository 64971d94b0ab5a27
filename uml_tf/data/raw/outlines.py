"""Areas from outlines and from run lengths, as annotation tools store them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.images import Array


def fill_polygon(points: Array, size: tuple[int, int]) -> Array:
    """The pixels whose centre lies inside a polygon, by the even-odd rule.

    Args:
        points: ``(N, 2)`` x and y of the corners in pixels; (0, 0) is the upper left corner of the upper left
            pixel, whose centre is (0.5, 0.5).
        size: (H, W).

    Returns:
        ``(H, W)`` bool.
    """
    inside = np.zeros(size, bool)
    starts, ends = points, np.roll(points, -1, axis=0)
    top = max(int(np.floor(points[:, 1].min())), 0)
    bottom = min(int(np.ceil(points[:, 1].max())), size[0])
    for row in range(top, bottom):
        centre = row + 0.5
        crosses = (starts[:, 1] <= centre) != (ends[:, 1] <= centre)
        first, second = starts[crosses], ends[crosses]
        share = (centre - first[:, 1]) / (second[:, 1] - first[:, 1])
        borders = np.sort(first[:, 0] + share * (second[:, 0] - first[:, 0]))
        columns = np.clip(np.ceil(borders - 0.5), 0, size[1]).astype(int)
        for left, right in zip(columns[::2], columns[1::2], strict=True):
            inside[row, left:right] = True
    return inside


def fill_ellipse(
    centre: tuple[float, float], radii: tuple[float, float], angle: float, size: tuple[int, int]
) -> Array:
    """The pixels whose centre lies inside an ellipse.

    Args:
        centre: x and y in pixels, as in ``fill_polygon``.
        radii: along the ellipse's own axes, in pixels.
        angle: of the first axis against x, in radians, clockwise in the picture.
        size: (H, W).

    Returns:
        ``(H, W)`` bool.
    """
    rows, columns = np.mgrid[: size[0], : size[1]] + 0.5
    x, y = columns - centre[0], rows - centre[1]
    along = x * np.cos(angle) + y * np.sin(angle)
    across = y * np.cos(angle) - x * np.sin(angle)
    return (along / radii[0]) ** 2 + (across / radii[1]) ** 2 <= 1


def decode_run_lengths(counts: Sequence[int], size: tuple[int, int]) -> Array:
    """The area ``(H, W)`` bool of run lengths: outside and inside in turn, column by column.

    Raises:
        UmlError: their sum is not H * W.
    """
    if sum(counts) != size[0] * size[1] or min(counts) < 0:
        raise UmlError(f"found run lengths for {sum(counts)} pixels, expected {size[1]} x {size[0]}")
    values = np.arange(len(counts)) % 2 == 1
    return np.repeat(values, counts).reshape(size, order="F")
