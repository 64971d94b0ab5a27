"""Eight corruptions of a picture in five severities, each the same for equal random numbers.

Lengths are told for a picture of 128 pixels and grow with its longer side, so that a severity means the same
for networks of another input size. Severity 0 is the plain picture.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from uml_tf.runtime.images import encode_jpeg

Array = NDArray[Any]
Corruption = Callable[[Array, int, np.random.Generator], Array]
"""From RGB ``(H, W, 3)`` uint8, a severity of 1 to 5 and random numbers to a picture of the same form."""

SEVERITIES = (1, 2, 3, 4, 5)

_REFERENCE_SIDE = 128


def _level(severity: int, *levels: float) -> float:
    return levels[severity - 1]


def _pixels(image: Array, length: float) -> float:
    """A length that is told for a picture of 128 pixels, in pixels of this one."""
    return length * max(image.shape[:2]) / _REFERENCE_SIDE


def _rounded(values: Array) -> Array:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def gaussian_noise(image: Array, severity: int, rng: np.random.Generator) -> Array:
    """Normal noise of 5 to 80 grey levels, each channel its own."""
    return _rounded(image + rng.normal(size=image.shape) * _level(severity, 5, 10, 20, 40, 80))


def salt_and_pepper(image: Array, severity: int, rng: np.random.Generator) -> Array:
    """1 to 20 % of the pixels black or white."""
    draw = rng.random((*image.shape[:2], 1))
    share = _level(severity, 0.01, 0.02, 0.05, 0.1, 0.2)
    return np.where(draw < share / 2, 0, np.where(draw < share, 255, image)).astype(np.uint8)


def defocus(image: Array, severity: int, rng: np.random.Generator) -> Array:
    """Blur by a disc of radius 0.75 to 6 pixels."""
    radius = _pixels(image, _level(severity, 0.75, 1.5, 2.5, 4, 6))
    reach = int(np.ceil(radius))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc = np.clip(radius + 0.5 - np.hypot(y, x), 0, 1)  # its rim covers parts of pixels
    return np.asarray(cv2.filter2D(image, -1, disc / disc.sum(), borderType=cv2.BORDER_REFLECT_101))


def motion(image: Array, severity: int, rng: np.random.Generator) -> Array:
    """Blur along a line of 3 to 20 pixels in a random direction."""
    half = _pixels(image, _level(severity, 3, 5, 9, 14, 20)) / 2
    angle = rng.uniform(0, np.pi)
    reach = int(np.ceil(half)) + 1
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    line = np.clip(half + 0.5 - np.abs(along), 0, 1) * np.clip(1 - np.abs(across), 0, 1)
    return np.asarray(cv2.filter2D(image, -1, line / line.sum(), borderType=cv2.BORDER_REFLECT_101))


def brightness(image: Array, severity: int, rng: np.random.Generator) -> Array:
    """15 to 100 grey levels brighter or, for every second picture on average, darker."""
    sign = 1.0 if rng.random() < 0.5 else -1.0
    return _rounded(image + sign * _level(severity, 15, 30, 50, 75, 100))


def contrast(image: Array, severity: int, rng: np.random.Generator) -> Array:
    """Distances to the picture's mean colour 0.75 to 0.1 times as large."""
    mean = image.mean(axis=(0, 1))
    return _rounded(mean + (image - mean) * _level(severity, 0.75, 0.55, 0.4, 0.25, 0.1))


def jpeg(image: Array, severity: int, rng: np.random.Generator) -> Array:
    """Stored as JPEG of quality 40 to 3."""
    data = np.frombuffer(encode_jpeg(image, int(_level(severity, 40, 20, 12, 7, 3))), np.uint8)
    return cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def shuffled_tiles(image: Array, severity: int, rng: np.random.Generator) -> Array:
    """2 x 2 to 8 x 8 tiles, each moved to the place of another.

    A remainder of pixels at the right and at the bottom stays. A mask ``(H, W)`` is moved likewise.
    """
    count = int(_level(severity, 2, 3, 4, 6, 8))
    height, width = image.shape[0] // count, image.shape[1] // count
    order = rng.permutation(count * count)
    moved = image.copy()
    for source, target in zip(order, np.roll(order, 1), strict=True):  # one cycle: no tile keeps its place
        (y, x), (to_y, to_x) = (divmod(int(place), count) for place in (source, target))
        moved[to_y * height : (to_y + 1) * height, to_x * width : (to_x + 1) * width] = image[
            y * height : (y + 1) * height, x * width : (x + 1) * width
        ]
    return moved


CORRUPTIONS: dict[str, Corruption] = {
    "Gaussian noise": gaussian_noise,
    "salt-and-pepper noise": salt_and_pepper,
    "defocus": defocus,
    "motion": motion,
    "brightness": brightness,
    "contrast": contrast,
    "JPEG": jpeg,
    "shuffled tiles": shuffled_tiles,
}
"""Name -> corruption."""


def corrupt(image: Array, name: str, severity: int, key: str, seed: int = 0) -> Array:
    """A corrupted picture; the random numbers are the same for every severity.

    Args:
        image: RGB ``(H, W, 3)`` uint8; of tiles also ``(H, W)``.
        name: of ``CORRUPTIONS``.
        severity: 0, the plain picture, to 5.
        key: tells pictures apart, each of which has its own random numbers.
        seed: equal seeds give equal pictures.
    """
    if severity == 0:
        return image
    numbers = [seed, zlib.crc32(key.encode()), zlib.crc32(name.encode())]
    return CORRUPTIONS[name](image, severity, np.random.default_rng(numbers))
