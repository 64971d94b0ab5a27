"""Format, size and orientation of an encoded image, read from its header without decoding it.

OpenCV decodes first and tells the size afterwards, so a file of a few kilobytes can claim gigabytes of
memory. And it applies the EXIF orientation of some formats only, depending on its version. Hence a reader of
our own.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

_PNG_START = b"\x89PNG\r\n\x1a\n"
_JPEG_START = b"\xff\xd8"
_TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_EXIF_PREFIX = b"Exif\0\0"

# A marker that a segment follows, or the end marker. Not: stuffed zeros, fill bytes, restart and start
# markers.
_JPEG_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd8\xff])", re.DOTALL)
_JPEG_END, _JPEG_APP1 = 0xD9, 0xE1
_JPEG_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}

_TAG_WIDTH, _TAG_HEIGHT, _TAG_ORIENTATION = 256, 257, 274
_TIFF_VALUE = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 16: "Q", 17: "q"}


@dataclass(frozen=True)
class ImageHeader:
    """What an image file states about itself.

    Attributes:
        format: "PNG", "JPEG", "TIFF", "BMP" or "WebP".
        width, height: of the stored pixels; 0 when the file ends before it states them.
        orientation: the EXIF orientation, 1 to 8; 1 is upright.
        complete: False when the file has an end marker by its format, and it is missing.
    """

    format: str
    width: int
    height: int
    orientation: int = 1
    complete: bool = True

    @property
    def upright_size(self) -> tuple[int, int]:
        """(H, W) after the orientation is applied."""
        is_turned = self.orientation >= 5
        return (self.width, self.height) if is_turned else (self.height, self.width)


def read_header(data: bytes) -> ImageHeader | None:
    """The header of a PNG, JPEG, TIFF, BMP or WebP file.

    Args:
        data: the file's content.

    Returns:
        The header, or None when the content is of no such format.
    """
    try:
        if data.startswith(_PNG_START):
            return _png(data)
        if data.startswith(_JPEG_START):
            return _jpeg(data)
        if data.startswith(_TIFF_STARTS):
            return _tiff(data)
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return _webp(data)
        if data.startswith(b"BM"):
            return _bmp(data)
    except (struct.error, OverflowError):  # the file ends inside its header, or an offset points past it
        return None
    return None


def _png(data: bytes) -> ImageHeader:
    """Source: Portable Network Graphics (PNG) Specification, third edition, W3C."""
    width, height = struct.unpack_from(">II", data, 16)
    orientation, position = 1, len(_PNG_START)
    while position + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        if kind == b"IEND":
            return ImageHeader("PNG", width, height, orientation)
        if kind == b"eXIf":
            orientation = _exif_orientation(data[position + 8 : position + 8 + length])
        position += 12 + length
    return ImageHeader("PNG", width, height, orientation, complete=False)


def _jpeg(data: bytes) -> ImageHeader:
    """Walks the segments, so that neither an embedded preview nor data after the end is taken for the image.

    Source: ITU-T T.81, annex B.
    """
    width = height = 0
    orientation, position = 1, len(_JPEG_START)
    while (found := _JPEG_MARKER.search(data, position)) is not None:
        marker, position = data[found.start(1)], found.end()
        if marker == _JPEG_END:
            return ImageHeader("JPEG", width, height, orientation)
        is_size = marker in _JPEG_SIZES and not width
        if position + (7 if is_size else 2) > len(data):
            break
        (length,) = struct.unpack_from(">H", data, position)
        if is_size:
            height, width = struct.unpack_from(">HH", data, position + 3)
        elif marker == _JPEG_APP1:
            body = data[position + 2 : position + length]
            if body.startswith(_EXIF_PREFIX):
                orientation = _exif_orientation(body[len(_EXIF_PREFIX) :])
        position += length
    return ImageHeader("JPEG", width, height, orientation, complete=False)


def _tiff(data: bytes) -> ImageHeader:
    tags = _tiff_tags(data)
    width, height = tags.get(_TAG_WIDTH, 0), tags.get(_TAG_HEIGHT, 0)
    return ImageHeader("TIFF", width, height, _orientation(tags))


def _bmp(data: bytes) -> ImageHeader:
    (header_size,) = struct.unpack_from("<I", data, 14)
    width, height = struct.unpack_from("<HH" if header_size == 12 else "<ii", data, 18)
    return ImageHeader("BMP", abs(width), abs(height))  # a negative height: rows from the top


def _webp(data: bytes) -> ImageHeader | None:
    """Source: RFC 9649."""
    kind = data[12:16]
    if kind == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    elif kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif kind == b"VP8X":
        low_width, high_width, low_height, high_height = struct.unpack_from("<HBHB", data, 24)
        width, height = (high_width << 16 | low_width) + 1, (high_height << 16 | low_height) + 1
    else:
        return None
    orientation, position = 1, 12
    while position + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, position)
        if kind == b"EXIF":
            body = data[position + 8 : position + 8 + length]
            orientation = _exif_orientation(body.removeprefix(_EXIF_PREFIX))
        position += 8 + length + length % 2
    return ImageHeader("WebP", width, height, orientation)


def _exif_orientation(exif: bytes) -> int:
    """EXIF is stored as a TIFF file; what cannot be read counts as upright, as in every image viewer."""
    if not exif.startswith(_TIFF_STARTS):
        return 1
    try:
        return _orientation(_tiff_tags(exif))
    except (struct.error, OverflowError):
        return 1


def _orientation(tags: dict[int, int]) -> int:
    orientation = tags.get(_TAG_ORIENTATION, 1)
    return orientation if 1 <= orientation <= 8 else 1


def _tiff_tags(data: bytes) -> dict[int, int]:
    """Tag -> first value of the tags in a TIFF's first directory that hold whole numbers.

    Source: TIFF revision 6.0, section 2; BigTIFF (magic number 43) has fields of 8 bytes.
    """
    order = "<" if data.startswith(b"II") else ">"
    (magic,) = struct.unpack_from(order + "H", data, 2)
    count_code, entry_size, value_at = ("Q", 20, 12) if magic == 43 else ("H", 12, 8)
    offset_code, offset_at = ("Q", 8) if magic == 43 else ("I", 4)
    (start,) = struct.unpack_from(order + offset_code, data, offset_at)
    (count,) = struct.unpack_from(order + count_code, data, start)
    start += struct.calcsize("=" + count_code)
    tags: dict[int, int] = {}
    for entry in range(start, min(start + count * entry_size, len(data)), entry_size):
        tag, kind = struct.unpack_from(order + "HH", data, entry)
        if kind in _TIFF_VALUE:
            (value,) = struct.unpack_from(order + _TIFF_VALUE[kind], data, entry + value_at)
            tags.setdefault(tag, value)  # of a repeated tag decoders take the first
    return tags
