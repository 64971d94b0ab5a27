"""Reading a mask file whose grey values, palette indices or colours stand for classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from uml_tf.data.masks import read_mask
from uml_tf.data.raw.values import UNKNOWN, PixelValues
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.files import read_bytes
from uml_tf.runtime.images import Array, decode_pixels
from uml_tf.runtime.regions import UNKNOWN_PIXEL


def class_index(name: str, values: PixelValues) -> int:
    """The index of a pixel class; ``UNKNOWN_PIXEL`` for "unknown"."""
    return UNKNOWN_PIXEL if name == UNKNOWN else values.classes.index(name)


def read_class_mask(path: Path, values: PixelValues) -> Array:
    """The class indices ``(H, W)`` uint8 of a mask file.

    Args:
        path: the file. Where grey values are listed, the indices of a palette are read; where colours are
            listed, its colours.
        values: what the values mean.

    Raises:
        UmlError: the file is missing or no image, is coloured where grey values are listed, or has a value
            that is not listed, where the background is.
    """
    codes = _colour_codes(path) if values.colours else _grey_codes(path)
    present, inverse, counts = np.unique(codes, return_inverse=True, return_counts=True)
    indices = np.zeros(len(present), np.uint8)
    for place, (code, pixels) in enumerate(zip(present.tolist(), counts.tolist(), strict=True)):
        name = _class_name(code, values)
        if name is not None:
            indices[place] = class_index(name, values)
        elif values.is_complete:
            found = f"#{code:06x}" if values.colours else str(code)
            raise UmlError(
                f"{path}: found pixel value {found} ({pixels} pixels), expected one of {values.expected}"
            )
    return indices[inverse].reshape(codes.shape)


def _class_name(code: int, values: PixelValues) -> str | None:
    if values.colours:
        return values.colours.get((code >> 16, code >> 8 & 255, code & 255))
    return next((name for first, last, name in values.grey if first <= code <= last), None)


def _grey_codes(path: Path) -> Array:
    """Grey values of 8 or 16 bits, or palette indices."""
    pixels = decode_pixels(read_bytes(path), str(path))
    if pixels.ndim == 2 and pixels.dtype == np.uint16:
        return pixels
    try:
        return read_mask(path)
    except UmlError as error:
        if "found colours" in str(error):
            raise UmlError(f"{error}; name colours as #ff0000=CLASS") from None
        raise


def _colour_codes(path: Path) -> Array:
    """R * 65536 + G * 256 + B of every pixel, ``(H, W)``; transparency is not read."""
    pixels = decode_pixels(read_bytes(path), str(path))
    if pixels.dtype != np.uint8:
        raise UmlError(f"{path}: found {pixels.dtype} pixels, expected an 8-bit mask")
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, axis=-1)
    blue, green, red = (pixels[..., channel].astype(np.int32) for channel in range(3))
    return red << 16 | green << 8 | blue
