"""Reading one slice of a NIfTI volume as a picture, the way a radiologist looks at it."""

from __future__ import annotations

import gzip
import io
import math
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

_LARGEST_HEADER = 540
_NIFTI_2 = (b"\x1c\x02\0\0", b"\0\0\x02\x1c")
"""What a file of NIfTI-2 begins with, the length of its header, in either byte order."""

_LARGEST_BYTES = 2_000_000_000
"""Of all values of a file, as it stores them and as float32."""
_LARGEST_REST = 1_000_000
"""Bytes that may follow the values; beyond them a file is not inflated."""


def _kind(start: bytes, name: str) -> tuple[Any, Any]:
    """The class of image of a file that begins so, and its header."""
    nibabel = imported("nibabel", name)
    kind = nibabel.Nifti2Image if start[:4] in _NIFTI_2 else nibabel.Nifti1Image
    return kind, kind.header_class(start[: kind.header_class.template_dtype.itemsize], check=False)


def _checked_length(header: Any, name: str) -> int:
    """Bytes of a file with this header, which alone tells it.

    Raises:
        UmlError: they are too many.
        ValueError: they are none.
    """
    values = math.prod(int(size) for size in header.get_data_shape())
    stored = values * header.get_data_dtype().itemsize
    start = header.get_data_offset()
    if values < 1 or start < 0:
        raise ValueError("no size")
    largest = max(stored + start, 4 * values)
    if largest > _LARGEST_BYTES:
        raise UmlError(
            f"{name}: found a volume of {largest / 1e9:.1f} GB, expected at most {_LARGEST_BYTES // 10**9}"
        )
    return start + stored


def _open(path: Path, data: bytes, name: str) -> Any:
    """The image, of at least three axes; a compressed one is inflated as far as its header states."""
    nibabel = imported("nibabel", name)
    try:
        if path.name.lower().endswith(".gz"):
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
                start = file.read(_LARGEST_HEADER)
                kind, header = _kind(start, name)
                length = _checked_length(header, name)
                data = start + file.read(max(0, length - len(start)))
                file.read(_LARGEST_REST)  # at the end, the checksum is compared
        else:
            kind, header = _kind(data, name)
            _checked_length(header, name)
        image = kind.from_stream(io.BytesIO(data))
        if len(image.shape) < 3:
            shape = image.shape + (1,) * (3 - len(image.shape))
            image = kind(np.asanyarray(image.dataobj).reshape(shape), image.affine, image.header)
        return nibabel.as_closest_canonical(image)  # reads the values of one that lies otherwise
    except UmlError:
        raise
    except Exception as error:
        raise UmlError(f"{name}: not a NIfTI file, or damaged ({type(error).__name__})") from error


def _volume(upright: Any, selection: Selection, name: str) -> tuple[Array, tuple[float, ...]]:
    """The values of a volume whose axes point right, forward and upward, and the size of its voxels."""
    shape = upright.shape
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
