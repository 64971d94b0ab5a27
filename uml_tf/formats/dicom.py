"""Reading one frame of a DICOM file as a picture.

No message holds a value of the header, since it may be the patient's name; so pydicom's own are not repeated.
"""

from __future__ import annotations

import io
import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from uml_tf.formats.dicom_header import (
    frame_count,
    frame_item,
    pixel_spacing,
    stated_window,
)
from uml_tf.formats.extra import imported
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.images import LARGEST_PIXELS, SMALLEST_SIDE
from uml_tf.runtime.intensity import Intensity
from uml_tf.runtime.picture import Picture

Array = NDArray[Any]

_GREY = ("MONOCHROME1", "MONOCHROME2")
_LARGEST_DEPTH = 16
_LOCK = threading.RLock()


@dataclass(frozen=True)
class DicomPicture(Picture):
    """A frame of a DICOM file.

    Attributes:
        header: the pydicom data set, pixels included.
        frame: number of the frame, from 1.
    """

    header: Any = None
    frame: int = 1


@contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Keeps pydicom's warnings and log lines, which repeat values of the header, off the terminal."""
    logger = logging.getLogger("pydicom")
    with _LOCK:  # warnings and loggers belong to the process, and files are read by threads
        before = logger.disabled
        logger.disabled = True
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        finally:
            logger.disabled = before


def read_header(data: bytes, name: str) -> Any:
    """The pydicom data set of a file's content.

    Args:
        data: the content.
        name: for messages.

    Raises:
        UmlError: it is damaged or has no pixels.
    """
    pydicom = imported("pydicom", name)
    with quiet_pydicom():
        try:
            header = pydicom.dcmread(io.BytesIO(data), force=True)
            header.walk(lambda dataset, element: None)  # elements are parsed when they are read
            pixels = any(word in header for word in ("PixelData", "FloatPixelData", "DoubleFloatPixelData"))
            kind = header.get("SOPClassUID")
        except Exception as error:  # in a damaged file, pydicom raises whatever struct or zlib raises
            raise UmlError(
                f"{name}: a damaged DICOM file, cannot be read ({type(error).__name__})"
            ) from error
    if kind is None and not pixels:
        raise UmlError(f"{name}: not a DICOM file, or cut off: found no SOP class, expected an image")
    if not pixels:
        what = getattr(kind, "name", kind)
        raise UmlError(f"{name}: found DICOM of the kind '{what}' without pixels, expected an image")
    return header


def _checked_frame(header: Any, frame: int | None, name: str) -> int:
    count = frame_count(header)
    if frame is None and count > 1:
        raise UmlError(f"{name}: found {count} frames, expected --frame N, from 1 to {count}")
    if frame is not None and not 1 <= frame <= count:
        raise UmlError(f"{name}: --frame: found {frame}, expected 1 to {count}")
    return frame or 1


def _check(header: Any, name: str) -> None:
    try:
        height, width = int(header.Rows), int(header.Columns)
        depth, photometric = int(header.BitsAllocated), str(header.PhotometricInterpretation)
    except (AttributeError, TypeError, ValueError):
        raise UmlError(
            f"{name}: a damaged DICOM file: found no rows, columns, depth or photometric interpretation"
        ) from None
    if "PixelData" not in header:
        raise UmlError(
            f"{name}: found floating-point pixels, expected integers of 8 to {_LARGEST_DEPTH} bits"
        )
    if not 8 <= depth <= _LARGEST_DEPTH:
        raise UmlError(f"{name}: found {depth}-bit pixels, expected 8 to {_LARGEST_DEPTH} bits")
    if min(height, width) < SMALLEST_SIDE:
        raise UmlError(
            f"{name}: found {width} x {height} pixels, expected at least {SMALLEST_SIDE} on each side"
        )
    if height * width > LARGEST_PIXELS:
        raise UmlError(
            f"{name}: found {width} x {height} pixels, expected at most {LARGEST_PIXELS // 1_000_000} million"
        )
    if photometric not in _GREY and photometric != "PALETTE COLOR" and photometric[:3] not in ("RGB", "YBR"):
        raise UmlError(
            f"{name}: photometric interpretation: found one that is not known, "
            "expected MONOCHROME1, MONOCHROME2, PALETTE COLOR, RGB or YBR"
        )


def _decoded(header: Any, frame: int, name: str) -> Array:
    """The stored values of a frame; YBR becomes RGB."""
    pixels = imported("pydicom.pixels", name)
    syntax = getattr(getattr(header, "file_meta", None), "TransferSyntaxUID", None)
    try:
        values = np.asarray(pixels.pixel_array(header, index=frame - 1))
    except Exception as error:  # decoders raise whatever they like
        kind = getattr(syntax, "name", "no transfer syntax")
        raise UmlError(
            f"{name}: the pixels cannot be decoded ({kind}; {type(error).__name__}), expected a whole file "
            "and a decoder of this syntax (`pip install 'uml-tf[dicom]'`)"
        ) from error
    return values


def _grey(header: Any, frame: int, stored: Array, intensity: Intensity, name: str) -> tuple[Array, str]:
    """The values of a grey frame as uint8, and how they were mapped."""
    pixels = imported("pydicom.pixels", name)
    rescaling = frame_item(header, frame, "PixelValueTransformationSequence", "RescaleSlope")
    values = np.asarray(pixels.apply_modality_lut(stored, rescaling), np.float64)
    if "PixelPaddingValue" in header:
        limits = intensity.limits(values[stored != header.PixelPaddingValue])
    else:
        limits = None
    small = int(header.get("BitsStored", 16)) <= 8 and header.get("PixelRepresentation", 0) == 0
    window = stated_window(header, frame)
    lut = header.get("VOILUTSequence")
    if lut and intensity.method == "file":
        looked_up = np.asarray(pixels.apply_voi(values.astype(np.int64), header), np.float64)
        grey = (looked_up * (255 / (2 ** int(lut[0].LUTDescriptor[2]) - 1)) + 0.5).clip(0, 255)
        grey, mapped = grey.astype(np.uint8), "the file's table of grey values (VOI LUT)"
    else:
        grey = intensity.to_8_bits(values, window, small, limits)
        mapped = intensity.applied(window, small)
    inverse = header.PhotometricInterpretation == "MONOCHROME1"
    return (255 - grey if inverse else grey), mapped


def _colour(header: Any, values: Array, name: str) -> tuple[Array, str]:
    """The values of a colour frame as uint8 ``(H, W, 3)``, and how they were mapped."""
    pixels = imported("pydicom.pixels", name)
    if header.PhotometricInterpretation == "PALETTE COLOR":
        values = np.asarray(pixels.apply_color_lut(values, header))[..., :3]
        largest = 255 if values.dtype == np.uint8 else 65535
    else:
        largest = 2 ** int(header.get("BitsStored", 8)) - 1
    if largest == 255:
        return values.astype(np.uint8), ""
    scaled = values.astype(np.float64) * (255 / largest) + 0.5
    return scaled.clip(0, 255).astype(np.uint8), f"colour divided by {largest / 255:g}"


def read_dicom(data: bytes, name: str, intensity: Intensity, frame: int | None = None) -> DicomPicture:
    """One frame of a DICOM file.

    Args:
        data: the file's content.
        name: for messages.
        intensity: how grey values are mapped.
        frame: from 1; None for a file with one.

    Raises:
        UmlError: the file is damaged or no image; it has several frames and ``frame`` is None, or not this
            frame; fewer than 8 or more than 16 bits, or floating-point pixels; or a size that
            ``uml_tf.runtime.images`` refuses.
    """
    header = read_header(data, name)
    with quiet_pydicom():
        number = _checked_frame(header, frame, name)
        _check(header, name)
        stored = _decoded(header, number, name)
        try:
            if header.PhotometricInterpretation in _GREY:
                grey, mapped = _grey(header, number, stored, intensity, name)
                colour = cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)
            else:
                colour, mapped = _colour(header, stored, name)
            spacing = pixel_spacing(header, number)
        except UmlError:
            raise
        except Exception as error:  # values that the standard does not allow
            raise UmlError(
                f"{name}: a damaged DICOM file: its table of values, window or pixel spacing cannot be read "
                f"({type(error).__name__})"
            ) from error
    return DicomPicture(np.ascontiguousarray(colour), spacing, mapped, header, number)
