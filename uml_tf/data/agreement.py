"""How many of several experts chose each class of a pixel, kept beside the mask that most of them drew.

An agreement file is an RGB PNG of the image's size. Channel c holds, for the pixel class of index c, the
share of the experts that chose it, as 0 (none) to 255 (all). So it holds at most three pixel classes; the
channels of classes that the data set does not have are 0.
"""

from __future__ import annotations

import numpy as np

from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.images import Array

CHANNELS = 3


def encode_agreement(shares: Array) -> Array:
    """The RGB picture ``(H, W, 3)`` uint8 of shares.

    Args:
        shares: ``(H, W, C)`` share of the experts that chose each pixel class, in [0, 1], with the sum 1; C
            is at most 3.
    """
    picture = np.zeros((*shares.shape[:2], CHANNELS), np.uint8)
    picture[..., : shares.shape[2]] = np.rint(255 * shares)
    return picture


def decode_agreement(picture: Array, pixel_classes: int) -> Array:
    """The shares ``(H, W, C)`` float32 in [0, 1], with the sum 1, of an agreement picture.

    Args:
        picture: RGB ``(H, W, 3)`` uint8.
        pixel_classes: C.
    """
    shares = picture[..., :pixel_classes].astype(np.float32)
    return shares / np.maximum(shares.sum(axis=-1, keepdims=True), 1)


def check_agreement(shares: Array, size: tuple[int, int], pixel_classes: int, name: str) -> None:
    """Checks that shares belong to their image and to their data set.

    Args:
        shares: ``(H, W, C)`` in [0, 1].
        size: (H, W) of the image.
        pixel_classes: number of pixel classes.
        name: for messages.

    Raises:
        UmlError: the size or the number of classes differs.
    """
    if pixel_classes > CHANNELS:
        raise UmlError(f"{name}: found {pixel_classes} pixel classes, expected at most {CHANNELS}")
    expected = (*size, pixel_classes)
    if shares.shape != expected:
        raise UmlError(f"{name}: found an array of shape {shares.shape}, expected {expected}")
