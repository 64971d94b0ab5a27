"""Which picture of a file with several is meant: a frame of a DICOM, a slice of a volume."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Axis = Literal["axial", "coronal", "sagittal"]
AXES: tuple[Axis, ...] = get_args(Axis)


@dataclass(frozen=True)
class Selection:
    """A picture of a file with several.

    Attributes:
        frame: of a multi-frame DICOM, or volume of a NIfTI series; from 1. None where there is one alone.
        axis: the plane of the slices of a NIfTI volume.
        slice: of a NIfTI volume, from 1: upwards (axial), from back to front (coronal), from left to right
            (sagittal). None where there is one alone.
    """

    frame: int | None = None
    axis: Axis = "axial"
    slice: int | None = None


WHOLE = Selection()
"""Of files with one picture."""
