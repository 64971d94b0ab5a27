"""Pictures of one value a pixel, shown in colours: PNG with a palette, a third of the bytes of RGB."""

from __future__ import annotations

import struct
import zlib
from typing import Any

from numpy.typing import NDArray

from uml_tf.runtime.images import encode_png

# A PNG begins with its signature and the chunk IHDR, whose tenth byte of content is the colour type.
_HEADER = slice(12, 29)
_COLOUR_TYPE = 25
_END_OF_HEADER = 33
_GREY, _INDEXED = 0, 3


def encode_with_palette(values: NDArray[Any], palette: NDArray[Any]) -> bytes:
    """A PNG that shows each value in its colour; any reader returns RGB ``palette[values]``.

    OpenCV, which compresses faster than ``zlib``, writes no palette, but a grey image with the same bytes.

    Args:
        values: ``(H, W)`` uint8.
        palette: ``(256, 3)`` uint8, RGB.

    Source: PNG specification (ISO/IEC 15948), 11.2.
    """
    grey = encode_png(values)
    if grey[_COLOUR_TYPE] != _GREY:
        raise ValueError(f"PNG: found colour type {grey[_COLOUR_TYPE]}, expected {_GREY}")
    header = bytearray(grey[:_END_OF_HEADER])
    header[_COLOUR_TYPE] = _INDEXED
    header[_HEADER.stop :] = struct.pack(">I", zlib.crc32(header[_HEADER]))
    colours = b"PLTE" + palette.tobytes()
    length, checksum = struct.pack(">I", len(colours) - 4), struct.pack(">I", zlib.crc32(colours))
    return bytes(header) + length + colours + checksum + grey[_END_OF_HEADER:]
