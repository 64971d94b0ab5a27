"""What data sets of dermoscopic photographs share: a lesion on the skin."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from uml_tf.data.converter import PublishedSplitOptions, RawOptions, near_duplicate_field
from uml_tf.data.masks import read_foreground
from uml_tf.data.near_duplicates import PHOTOGRAPH_DISTANCE
from uml_tf.runtime.errors import UmlError

PIXEL_CLASSES = ("background", "lesion")


class DermoscopyOptions(RawOptions):
    """Options of every dermoscopy converter; photographs of one lesion differ in more bits than copies do."""

    near_duplicate_distance: int = near_duplicate_field(PHOTOGRAPH_DISTANCE)


class PublishedDermoscopyOptions(PublishedSplitOptions):
    """The same, for a data set with published splits."""

    near_duplicate_distance: int = near_duplicate_field(PHOTOGRAPH_DISTANCE)


def read_lesion(path: Path | None) -> tuple[NDArray[np.uint8] | None, tuple[str, ...]]:
    """The mask of a photograph ``(H, W)``, 1 in the lesion, or None; and a line where its file is damaged.

    Args:
        path: of the mask; None where there is none.
    """
    if path is None:
        return None, ()
    try:
        return read_foreground(path).astype(np.uint8), ()
    except UmlError as error:
        return None, (str(error),)
