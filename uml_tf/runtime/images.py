"""Reading, resizing and writing images, for training, prediction and the device alike.

Only NumPy and OpenCV are needed here.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.files import replacing

Array = NDArray[Any]

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
SMALLEST_SIDE = 8
_LARGEST_PIXELS = 200_000_000


def _read_bytes(path: Path) -> bytes:
    if path.is_dir():
        raise UmlError(f"{path}: found a directory, expected an image file")
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise UmlError(f"{path}: no such file, expected an image") from None
    except OSError as error:
        raise UmlError(f"{path}: cannot be read ({error.strerror or error})") from error


def _decode(data: Array, flags: int, name: str) -> Array:
    if data[:2].tobytes() == b"\xff\xd8" and b"\xff\xd9" not in data[-4096:].tobytes():
        # OpenCV fills the missing half of a cut JPEG with grey and says nothing.
        raise UmlError(f"{name}: found a truncated JPEG (no end marker), expected a whole image")
    try:
        image = cv2.imdecode(data, flags)
    except cv2.error:
        image = None
    if image is None:
        raise UmlError(f"{name}: not an image that can be decoded, expected PNG, JPEG, TIFF, BMP or WebP")
    if image.size > _LARGEST_PIXELS * 4:
        raise UmlError(f"{name}: found {image.shape[1]} x {image.shape[0]} pixels, expected fewer")
    return image


# Of the formats that can say how the camera was held: the first bytes.
_MAY_BE_TURNED = (b"\xff\xd8", b"II*\0", b"MM\0*", b"RIFF")


def decode_image(data: bytes, name: str) -> Array:
    """Any usual encoded image as RGB ``(H, W, 3)`` uint8, EXIF orientation applied.

    Grey becomes three equal channels; an alpha channel or more than 8 bits is refused rather than
    guessed at, because dropping either changes what the network sees.

    Args:
        data: the file's content.
        name: for messages.

    Raises:
        UmlError: it is not an image, cut off, too small, 16-bit or has alpha.
    """
    content = np.frombuffer(data, np.uint8)
    if not content.size:
        raise UmlError(f"{name}: found an empty file, expected an image")
    image = _decode(content, cv2.IMREAD_UNCHANGED, name)
    if image.dtype != np.uint8:
        raise UmlError(f"{name}: found {image.dtype} pixels, expected 8-bit; rescale the image first")
    if image.ndim == 3 and image.shape[2] == 4:
        if int(image[..., 3].min()) < 255:
            raise UmlError(f"{name}: found a transparent alpha channel, expected RGB or grey")
        image = np.ascontiguousarray(image[..., :3])
    if min(image.shape[:2]) < SMALLEST_SIDE:
        height, width = image.shape[:2]
        raise UmlError(
            f"{name}: found {width} x {height} pixels, expected at least {SMALLEST_SIDE} on each side"
        )
    if data.startswith(_MAY_BE_TURNED):
        image = _decode(content, cv2.IMREAD_COLOR, name)  # IMREAD_UNCHANGED ignores the EXIF orientation
    if image.ndim == 2 or image.shape[2] == 1:
        return cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def read_image(path: Path) -> Array:
    """Reads an image file; see ``decode_image``.

    Raises:
        UmlError: the file is missing, or as ``decode_image``.
    """
    return decode_image(_read_bytes(path), str(path))


def read_mask(path: Path) -> Array:
    """Reads a mask as stored, ``(H, W)`` uint8.

    Raises:
        UmlError: missing, not an image, not 8-bit, or with colours that differ between channels.
    """
    mask = _decode(np.frombuffer(_read_bytes(path), np.uint8), cv2.IMREAD_UNCHANGED, str(path))
    if mask.dtype != np.uint8:
        raise UmlError(f"{path}: found {mask.dtype} pixels, expected an 8-bit mask")
    if mask.ndim == 3:
        if not (mask[..., :3] == mask[..., :1]).all():
            raise UmlError(f"{path}: found colours, expected a mask with one channel")
        mask = mask[..., 0]
    return np.ascontiguousarray(mask)


def encode_png(image: Array) -> bytes:
    """``(H, W)`` or RGB ``(H, W, 3)`` uint8 as the content of a PNG file."""
    data = image if image.ndim == 2 else cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2BGR)
    _, encoded = cv2.imencode(".png", data)
    return encoded.tobytes()


def write_png(path: Path, image: Array) -> None:
    """Writes ``(H, W)`` or RGB ``(H, W, 3)`` uint8 as PNG, atomically."""
    with replacing(path) as temporary:
        temporary.write_bytes(encode_png(image))


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
    rows, columns = _triangle_weights(image.shape[0], size[0]), _triangle_weights(image.shape[1], size[1])
    flat = image.astype(np.float32).reshape(image.shape[0], -1)
    narrow = (rows @ flat).reshape(size[0], image.shape[1], -1)
    resized = np.einsum("ws,hsd->hwd", columns, narrow, optimize=True)
    return resized.reshape(*size, *image.shape[2:])


def resize_nearest(mask: Array, size: tuple[int, int]) -> Array:
    """Resizes a ``(H, W)`` mask of class indices by nearest neighbour, half-pixel centres."""
    rows = ((np.arange(size[0]) + 0.5) * mask.shape[0] / size[0]).astype(int)
    columns = ((np.arange(size[1]) + 0.5) * mask.shape[1] / size[1]).astype(int)
    return mask[rows[:, None], columns[None, :]]


def at_original_size(maps: Array, size: tuple[int, ...]) -> Array:
    """Resizes ``(h, w, D)`` float maps bilinearly to ``(H, W, D)``."""
    resized = cv2.resize(maps, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
    return resized if resized.ndim == 3 else resized[..., None]
