"""Reading, resizing and writing images, for training, prediction and the device alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.files import read_bytes, write_bytes
from uml_tf.runtime.image_header import ImageHeader, read_header
from uml_tf.runtime.intensity import Intensity
from uml_tf.runtime.picture import Picture

Array = NDArray[Any]

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
SMALLEST_SIDE = 8
LARGEST_PIXELS = 100_000_000
"""Decoded, an RGB image of this size takes 300 MB."""

_SILENT = 0
_MOST_TRANSPOSED = 4
"""Channels of float32 that OpenCV transposes."""
_ROWS = 8
"""Rows that are resized at a time: few, so that few weights are 0, and enough for a fast matrix product."""
_TO_RGB = {1: cv2.COLOR_GRAY2RGB, 3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGB}
_DICOM = slice(128, 132)
_NOT_AN_IMAGE = "not an image that can be decoded, expected PNG, JPEG, TIFF, BMP or WebP"

# Turns the stored pixels upright, by EXIF orientation.
_TURNS: dict[int, Callable[[Array], Array]] = {
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.swapaxes(0, 1),
    6: lambda image: np.rot90(image, -1),
    7: lambda image: image[::-1, ::-1].swapaxes(0, 1),
    8: lambda image: np.rot90(image),
}


@contextmanager
def _without_opencv_log() -> Iterator[None]:
    """A damaged file is reported once, by the error that is raised, and not by OpenCV's log as well."""
    log = getattr(cv2.utils, "logging", cv2)  # OpenCV 4 has the two functions at its top
    level = log.getLogLevel()
    log.setLogLevel(_SILENT)
    try:
        yield
    finally:
        log.setLogLevel(level)


def _checked_header(data: bytes, name: str) -> ImageHeader:
    """The header of a file that is safe to decode."""
    if not data:
        raise UmlError(f"{name}: found an empty file, expected an image")
    if data[_DICOM] == b"DICM":
        raise UmlError(
            f"{name}: found DICOM, which is not read here, expected PNG, JPEG, TIFF, BMP or WebP: "
            "`uml-tf predict` reads DICOM"
        )
    header = read_header(data)
    if header is None:
        raise UmlError(f"{name}: {_NOT_AN_IMAGE}")
    if not header.complete:
        # Some versions of OpenCV fill the missing part of a JPEG with grey and report nothing.
        raise UmlError(
            f"{name}: not an image that can be decoded: a truncated {header.format}, with no end marker"
        )
    if header.width < 1 or header.height < 1:
        raise UmlError(f"{name}: {_NOT_AN_IMAGE}: its header states no size")
    if header.width * header.height > LARGEST_PIXELS:
        raise UmlError(
            f"{name}: found {header.width} x {header.height} pixels, "
            f"expected at most {LARGEST_PIXELS // 1_000_000} million"
        )
    return header


def decode_pixels(data: bytes, name: str) -> Array:
    """The pixels of an encoded image as OpenCV stores them, EXIF orientation applied.

    Args:
        data: the file's content.
        name: for messages.

    Returns:
        ``(H, W)``, or ``(H, W, 3 or 4)`` in the order blue, green, red, alpha; the depth is the file's own.

    Raises:
        UmlError: it is no PNG, JPEG, TIFF, BMP or WebP, is damaged, or has more than ``LARGEST_PIXELS``
            pixels; the size is read from the header, before anything is decoded.
    """
    header = _checked_header(data, name)
    with _without_opencv_log():
        try:
            image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        except cv2.error:
            image = None
    if image is None:
        raise UmlError(f"{name}: {_NOT_AN_IMAGE}")
    # OpenCV turns a TIFF upright in any case, and with this flag no other format.
    if header.format != "TIFF" and header.orientation in _TURNS:
        image = _TURNS[header.orientation](image)
    return np.ascontiguousarray(image)


def decode_picture(data: bytes, name: str, intensity: Intensity | None) -> Picture:
    """An encoded image as a picture, EXIF orientation applied.

    Grey becomes three equal channels. A transparent image is refused: to drop the transparency would change
    what the network sees.

    Args:
        data: the file's content.
        name: for messages.
        intensity: how values of more than 8 bits are mapped; None to refuse them.

    Raises:
        UmlError: as ``decode_pixels``; or it is smaller than ``SMALLEST_SIDE`` or transparent; or it has more
            than 8 bits, where ``intensity`` is None.
    """
    image = decode_pixels(data, name)
    if min(image.shape[:2]) < SMALLEST_SIDE:
        height, width = image.shape[:2]
        raise UmlError(
            f"{name}: found {width} x {height} pixels, expected at least {SMALLEST_SIDE} on each side"
        )
    image, mapped = (image, "") if image.dtype == np.uint8 else _mapped(image, name, intensity)
    channels = 1 if image.ndim == 2 else image.shape[2]
    if channels not in _TO_RGB:
        raise UmlError(f"{name}: found {channels} channels, expected RGB or grey")
    if channels == 4 and int(image[..., 3].min()) < 255:
        raise UmlError(f"{name}: found a transparent alpha channel, expected RGB or grey")
    return Picture(cv2.cvtColor(image, _TO_RGB[channels]), mapped=mapped)


def _mapped(image: Array, name: str, intensity: Intensity | None) -> tuple[Array, str]:
    """8-bit values of deeper ones, and how."""
    if intensity is None:
        raise UmlError(f"{name}: found {image.dtype} pixels, expected 8-bit; rescale the image first")
    if image.ndim == 2:
        return intensity.to_8_bits(image), intensity.applied()
    if image.dtype != np.uint16:
        raise UmlError(f"{name}: found {image.dtype} pixels in colour, expected 8 or 16 bits")
    return ((image.astype(np.uint32) + 128) // 257).astype(np.uint8), "16-bit colour divided by 257"


def decode_image(data: bytes, name: str, intensity: Intensity | None = None) -> Array:
    """The pixels of ``decode_picture``, RGB ``(H, W, 3)`` uint8.

    Raises:
        UmlError: as ``decode_picture``.
    """
    return decode_picture(data, name, intensity).pixels


def read_picture(path: Path, intensity: Intensity | None = None, name: str | None = None) -> Picture:
    """Reads an image file; see ``decode_picture``.

    Args:
        path: the file.
        intensity: how values of more than 8 bits are mapped; None to refuse them.
        name: what messages call the file; by default its path.

    Raises:
        UmlError: the file is missing, or as ``decode_picture``.
    """
    return decode_picture(read_bytes(path), name or str(path), intensity)


def read_image(path: Path, intensity: Intensity | None = None) -> Array:
    """Reads an image file; see ``decode_picture``.

    Raises:
        UmlError: the file is missing, or as ``decode_picture``.
    """
    return decode_image(read_bytes(path), str(path), intensity)


def _as_opencv(image: Array) -> Array:
    return image if image.ndim == 2 else cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2BGR)


def read_image_size(path: Path) -> tuple[int, int]:
    """(H, W) of an image file as ``read_image`` returns it, from the header alone.

    Raises:
        UmlError: the file is missing, truncated, too large or no image.
    """
    return _checked_header(read_bytes(path), str(path)).upright_size


def encode_png(image: Array) -> bytes:
    """``(H, W)`` or RGB ``(H, W, 3)`` uint8 as the content of a PNG file."""
    _, encoded = cv2.imencode(".png", _as_opencv(image))
    return encoded.tobytes()


def encode_jpeg(image: Array, quality: int) -> bytes:
    """``(H, W)`` or RGB ``(H, W, 3)`` uint8 as the content of a JPEG file; quality 0 to 100."""
    _, encoded = cv2.imencode(".jpg", _as_opencv(image), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return encoded.tobytes()


def write_png(path: Path, image: Array, durable: bool = False) -> None:
    """Writes ``(H, W)`` or RGB ``(H, W, 3)`` uint8 as PNG, atomically; see ``write_bytes``."""
    write_bytes(path, encode_png(image), durable)


@lru_cache(maxsize=64)
def _triangle_weights(source: int, target: int) -> Array:
    """``(target, source)`` rows of the antialiased triangle filter, half-pixel centres."""
    scale = source / target
    support = max(scale, 1.0)
    centre = (np.arange(target) + 0.5) * scale
    distance = np.abs((np.arange(source) + 0.5)[None] - centre[:, None]) / support
    weights = np.clip(1.0 - distance, 0.0, None)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def resize_antialiased(image: Array, size: tuple[int, int]) -> Array:
    """Resizes ``(H, W, D)`` or ``(H, W)`` to ``size`` = (height, width), float32.

    Bilinear with antialiasing (triangle filter), the same numbers as TensorFlow's
    ``tf.image.resize(antialias=True)``, so that a device sees what the network was trained on.
    """
    if image.shape[:2] == tuple(size):
        return image.astype(np.float32)
    narrow = _resize_rows(image.reshape(*image.shape[:2], -1), size[0])
    resized = _transposed(_resize_rows(_transposed(narrow), size[1]))
    return resized.reshape(*size, *image.shape[2:])


def _transposed(image: Array) -> Array:
    """``(H, W, D)`` as ``(W, H, D)``; by OpenCV where it can, which takes a tenth of the time."""
    if image.shape[2] > _MOST_TRANSPOSED:
        return np.ascontiguousarray(image.swapaxes(0, 1))
    return cv2.transpose(image).reshape(image.shape[1], image.shape[0], -1)


def _resize_rows(image: Array, target: int) -> Array:
    """``(H, W, D)`` to ``(target, W, D)`` float32 by the triangle filter.

    A few target rows at a time, by the source rows that count for them: nearly all weights are 0.
    """
    weights = _triangle_weights(image.shape[0], target)
    resized = np.empty((target, image.shape[1] * image.shape[2]), np.float32)
    parts = []
    for start in range(0, target, _ROWS):
        seen = np.flatnonzero(weights[start : start + _ROWS].any(axis=0))
        parts.append((slice(start, start + _ROWS), slice(int(seen[0]), int(seen[-1]) + 1)))
    most = max(source.stop - source.start for _, source in parts)
    values = np.empty((most, resized.shape[1]), np.float32)  # once, since new memory costs more than the copy
    for rows, source in parts:
        some = values[: source.stop - source.start]
        np.copyto(some, image[source].reshape(some.shape))
        np.matmul(weights[rows, source], some, out=resized[rows])
    return resized.reshape(target, *image.shape[1:])


def resize_nearest(mask: Array, size: tuple[int, int]) -> Array:
    """Resizes a ``(H, W)`` mask of class indices by nearest neighbour, half-pixel centres."""
    rows = ((np.arange(size[0]) + 0.5) * mask.shape[0] / size[0]).astype(int)
    columns = ((np.arange(size[1]) + 0.5) * mask.shape[1] / size[1]).astype(int)
    return mask[rows[:, None], columns[None, :]]


def at_original_size(maps: Array, size: tuple[int, ...]) -> Array:
    """Resizes ``(h, w, D)`` float maps bilinearly to ``(H, W, D)``."""
    resized = cv2.resize(maps, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
    return resized if resized.ndim == 3 else resized[..., None]
