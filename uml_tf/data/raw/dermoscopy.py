"""What data sets of dermoscopic photographs share: a lesion on the skin."""

from __future__ import annotations

from uml_tf.data.converter import PublishedSplitOptions, RawOptions, near_duplicate_field
from uml_tf.data.near_duplicates import PHOTOGRAPH_DISTANCE

PIXEL_CLASSES = ("background", "lesion")


class DermoscopyOptions(RawOptions):
    """Options of every dermoscopy converter; photographs of one lesion differ in more bits than copies do."""

    near_duplicate_distance: int = near_duplicate_field(PHOTOGRAPH_DISTANCE)


class PublishedDermoscopyOptions(PublishedSplitOptions):
    """The same, for a data set with published splits."""

    near_duplicate_distance: int = near_duplicate_field(PHOTOGRAPH_DISTANCE)
