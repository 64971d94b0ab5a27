"""What data sets of the eye's fundus share: glaucoma or not, and the optic disc with its cup."""

from __future__ import annotations

import numpy as np

from uml_tf.data.converter import PublishedSplitOptions, RawOptions, near_duplicate_field
from uml_tf.data.near_duplicates import PHOTOGRAPH_DISTANCE
from uml_tf.runtime.images import Array

NORMAL, GLAUCOMA = "normal", "glaucoma"
CLASSES = (NORMAL, GLAUCOMA)
PIXEL_CLASSES = ("background", "rim", "cup")
UNIONS: dict[str, tuple[str, ...]] = {"disc": ("rim", "cup")}


class FundusOptions(RawOptions):
    """Options of every fundus converter; photographs of one eye differ in more bits than copies do."""

    near_duplicate_distance: int = near_duplicate_field(PHOTOGRAPH_DISTANCE)


class PublishedFundusOptions(PublishedSplitOptions):
    """The same, for a data set with published splits."""

    near_duplicate_distance: int = near_duplicate_field(PHOTOGRAPH_DISTANCE)


def disc_and_cup(disc: Array, cup: Array) -> Array:
    """The mask of ``PIXEL_CLASSES``, ``(H, W)`` uint8, of two areas; the cup counts inside the disc alone.

    Args:
        disc: ``(H, W)`` bool.
        cup: the same.
    """
    return disc.astype(np.uint8) + (disc & cup)
