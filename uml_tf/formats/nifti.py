"""Reading one slice of a NIfTI volume as a picture, the way a radiologist looks at it."""

from __future__ import annotations

import io
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from uml_tf.formats.extra import imported
from uml_tf.formats.selection import Selection
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.images import LARGEST_PIXELS, SMALLEST_SIDE
from uml_tf.runtime.intensity import Intensity
from uml_tf.runtime.picture import Picture

Array = NDArray[Any]

_AXIS = {"sagittal": 0, "coronal": 1, "axial": 2}
"""Axis of a volume whose axes point right, forward and upward, along which the slices lie."""


def _open(path: Path, data: bytes, name: str) -> Any:
    nibabel = imported("nibabel", name)
    try:
        content = zlib.decompress(data, zlib.MAX_WBITS | 16) if path.name.lower().endswith(".gz") else data
        return nibabel.Nifti1Image.from_stream(io.BytesIO(content))
    except UmlError:
        raise
    except Exception:
        pass
    try:
        return nibabel.Nifti2Image.from_stream(io.BytesIO(content))
    except Exception as error:
        raise UmlError(f"{name}: not a NIfTI file, or damaged ({type(error).__name__})") from error


def _volume(image: Any, selection: Selection, name: str) -> tuple[Array, tuple[float, ...]]:
    """The values of a volume whose axes point right, forward and upward, and the size of its voxels."""
    nibabel = imported("nibabel", name)
    upright = nibabel.as_closest_canonical(image)
    shape = upright.shape + (1,) * (3 - len(upright.shape))
    if upright.get_data_dtype().names or any(size > 1 for size in shape[4:]):
        raise UmlError(f"{name}: found a NIfTI file of colours or vectors, expected grey values")
    count = shape[3] if len(shape) > 3 else 1
    if selection.frame is None and count > 1:
        raise UmlError(f"{name}: found {count} volumes, expected --frame N, from 1 to {count}")
    if selection.frame is not None and not 1 <= selection.frame <= count:
        raise UmlError(f"{name}: --frame: found {selection.frame}, expected 1 to {count}")
    try:
        values = np.asarray(upright.dataobj, np.float32).reshape(*shape[:3], count)
    except Exception as error:
        raise UmlError(f"{name}: a damaged NIfTI file ({type(error).__name__})") from error
    return values[..., (selection.frame or 1) - 1], tuple(upright.header.get_zooms()[:3])


def _slice(values: Array, selection: Selection, name: str) -> Array:
    """The chosen slice ``(H, W)``, the patient's right (of a sagittal slice, the front) at the left."""
    axis = _AXIS[selection.axis]
    count = values.shape[axis]
    if selection.slice is None and count > 1:
        raise UmlError(
            f"{name}: found {count} {selection.axis} slices, expected --slice N, from 1 to {count}"
        )
    if selection.slice is not None and not 1 <= selection.slice <= count:
        raise UmlError(f"{name}: --slice: found {selection.slice}, expected 1 to {count}")
    flat = np.take(values, (selection.slice or 1) - 1, axis=axis)
    return flat[::-1, ::-1].T


def read_nifti(path: Path, data: bytes, name: str, intensity: Intensity, selection: Selection) -> Picture:
    """One slice of a NIfTI file; a volume that lies obliquely is cut along its own nearest axes.

    Args:
        path: of the file, for its suffix.
        data: its content.
        name: for messages.
        intensity: how the values are mapped; percentiles are those of the whole volume.
        selection: the slice.

    Raises:
        UmlError: the file is damaged; a slice or volume must be named, or does not exist; or its size is one
            that ``uml_tf.runtime.images`` refuses.
    """
    values, zooms = _volume(_open(path, data, name), selection, name)
    flat = _slice(values, selection, name)
    height, width = flat.shape
    if min(height, width) < SMALLEST_SIDE or height * width > LARGEST_PIXELS:
        raise UmlError(
            f"{name}: found a slice of {width} x {height} pixels, expected at least {SMALLEST_SIDE} on each "
            f"side and at most {LARGEST_PIXELS // 1_000_000} million"
        )
    grey = intensity.to_8_bits(flat, limits=intensity.limits(values))
    column, row = (float(zooms[axis]) for axis in range(3) if axis != _AXIS[selection.axis])
    spacing = (row, column) if min(row, column) > 0 else None
    mapped = intensity.applied() + ("" if intensity.window else " of the volume")
    return Picture(cv2.cvtColor(np.ascontiguousarray(grey), cv2.COLOR_GRAY2RGB), spacing, mapped)
