"""Pictures of a prediction: the mask drawn on the image, and the uncertainty as a colour map."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from uml_tf.runtime.regions import ANY_REGION_PIXEL, UNKNOWN_PIXEL

Array = NDArray[Any]

# Okabe and Ito's palette, which can be told apart with every kind of colour vision. Background is not drawn.
COLOURS = ((0, 0, 0), (0, 158, 115), (240, 228, 66), (86, 180, 233), (213, 94, 0), (204, 121, 167))
UNKNOWN_COLOUR, ANY_REGION_COLOUR = (150, 150, 150), (255, 255, 255)
_RESERVED = {0: COLOURS[0], UNKNOWN_PIXEL: UNKNOWN_COLOUR, ANY_REGION_PIXEL: ANY_REGION_COLOUR}


def class_colour(index: int) -> tuple[int, int, int]:
    """RGB colour of a pixel value: background black, ``UNKNOWN_PIXEL`` grey, ``ANY_REGION_PIXEL`` white."""
    return _RESERVED.get(index) or COLOURS[1 + (index - 1) % (len(COLOURS) - 1)]


def draw_outlines(image: Array, mask: Array, fill: float = 0.0, thickness: int | None = None) -> Array:
    """The image with each foreground class outlined, and tinted by ``fill``.

    Args:
        image: RGB ``(H, W, 3)`` uint8.
        mask: ``(H, W)`` class indices; areas of the two reserved values are outlined too.
        fill: opacity of the tint in [0, 1].
        thickness: of the outlines, pixels; by default a two-hundredth of the shorter side.
    """
    canvas = image.copy()
    thickness = thickness or max(1, round(min(image.shape[:2]) / 200))
    for index in np.flatnonzero(np.bincount(mask.ravel())).tolist():
        if index == 0:
            continue
        region = (mask == index).view(np.uint8)
        left, top, width, height = cv2.boundingRect(region)
        box = slice(top, top + height), slice(left, left + width)
        colour, part = class_colour(index), np.ascontiguousarray(region[box])
        if fill:
            cv2.copyTo(cv2.LUT(canvas[box], _tint(colour, fill)), part, canvas[box])
        contours, _ = cv2.findContours(part, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE, offset=(left, top))
        cv2.drawContours(canvas, contours, -1, colour, thickness)
    return canvas


@lru_cache(maxsize=64)
def _tint(colour: tuple[int, int, int], fill: float) -> Array:
    """What each value of each channel becomes where a colour covers it with an opacity, ``(256, 1, 3)``."""
    values = np.arange(256)[:, None, None]
    return np.asarray(values * (1 - fill) + np.array(colour) * fill).astype(np.uint8)


@lru_cache(maxsize=1)
def uncertainty_colours() -> Array:
    """The colours of an uncertainty map, ``(256, 3)`` uint8 RGB: dark is 0, bright is 1."""
    values = np.arange(256, dtype=np.uint8)[:, None]
    return cv2.cvtColor(cv2.applyColorMap(values, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)[:, 0]


def uncertainty_levels(uncertainty: Array) -> Array:
    """``(H, W)`` uncertainty in [0, 1] as places among ``uncertainty_colours``, uint8."""
    return (np.clip(uncertainty, 0, 1) * 255 + 0.5).astype(np.uint8)


def uncertainty_map(uncertainty: Array) -> Array:
    """``(H, W)`` uncertainty in [0, 1] as RGB ``(H, W, 3)`` uint8."""
    return uncertainty_colours()[uncertainty_levels(uncertainty)]
