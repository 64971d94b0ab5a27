"""Reading masks: class indices as stored, or the bright area of a picture of a region."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.files import read_bytes
from uml_tf.runtime.images import Array, decode_image, decode_pixels
from uml_tf.runtime.regions import ANY_REGION_PIXEL, UNKNOWN_PIXEL, class_is_known

_MID_GREY = 127


def _palette_indices(content: bytes) -> Array | None:
    try:
        with Image.open(io.BytesIO(content)) as image:
            return np.asarray(image) if image.mode == "P" else None
    except OSError:  # a variant of TIFF or BMP that OpenCV alone reads
        return None


def read_mask(path: Path) -> Array:
    """Reads a mask of class indices as stored, ``(H, W)`` uint8.

    The pixels of an image with a palette are its palette indices: annotation tools store class indices so,
    with the palette as the colours to show them in. OpenCV gives the colours alone; Pillow gives the indices.

    Raises:
        UmlError: the file is missing, no image, not 8-bit, or has colours without a palette.
    """
    content = read_bytes(path)
    mask = decode_pixels(content, str(path))  # first: it refuses by the header what is too large
    indices = _palette_indices(content)
    if indices is not None:
        return indices
    if mask.dtype != np.uint8:
        raise UmlError(f"{path}: found {mask.dtype} pixels, expected an 8-bit mask")
    if mask.ndim == 3:
        if not (mask[..., :3] == mask[..., :1]).all():
            raise UmlError(f"{path}: found colours, expected a mask with one channel")
        mask = mask[..., 0]
    return np.ascontiguousarray(mask)


def read_foreground(path: Path) -> Array:
    """Reads a picture of a region, ``(H, W)`` bool: True where it is brighter than mid-grey.

    In a picture that has black and one other value alone, such as 0 and 1, True is the other.

    Raises:
        UmlError: as ``uml_tf.runtime.images.read_image``; or no pixel is brighter than mid-grey, and it is
            neither black everywhere nor of black and one other value: it may show a region or none.
    """
    grey = cv2.cvtColor(decode_image(read_bytes(path), str(path)), cv2.COLOR_RGB2GRAY)
    present = np.flatnonzero(np.bincount(grey.ravel(), minlength=256))
    if len(present) == 2 and present[0] == 0:
        return grey > 0
    if 0 < present[-1] <= _MID_GREY:
        found = f"{present[0]} to {present[-1]}" if len(present) > 1 else f"{present[0]} alone"
        raise UmlError(
            f"{path}: found grey values {found}, expected black, and the region in white or one other value"
        )
    return grey > _MID_GREY


def read_together(
    files: Sequence[tuple[Path, Callable[[Path], Array]]], size: tuple[int, int], image_name: str
) -> tuple[list[Array], list[str]]:
    """The pictures that make up the mask of one image: all of them or none.

    Without one of them the mask would say of the pixels that it shows that there is nothing.

    Args:
        files: paths, and what reads each, ``(H, W)``.
        size: (H, W) of the image.
        image_name: the image's name, for messages.

    Returns:
        The pictures in the order of the files, none where one does not fit; and a line for each of those.
    """
    pictures, problems = [], []
    others = f"; with it the other mask files of {image_name}" if len(files) > 1 else ""
    for path, read in files:
        try:
            pictures.append(read(path))
            _check_size(pictures[-1], size, str(path), image_name)
        except UmlError as error:
            problems.append(f"{error}{others}")
    return ([] if problems else pictures), problems


def read_union(
    paths: Sequence[Path], size: tuple[int, int], image_name: str
) -> tuple[Array | None, list[str]]:
    """The union of several pictures of a region, for formats with a file for each region of one class.

    One that does not fit is left out and the others are kept: in the published BUSI this is the second file
    of "benign (4)", which is of another picture, and the first shows the lesion.

    Args:
        paths: the pictures; see ``read_foreground``.
        size: (H, W) of the image.
        image_name: the image's name, for messages.

    Returns:
        ``(H, W)`` bool, or None when no picture fits; and one line for each that does not fit.
    """
    union, problems = None, []
    for path in paths:
        try:
            region = read_foreground(path)
            _check_size(region, size, str(path), image_name)
        except UmlError as error:
            problems.append(str(error))
        else:
            union = region if union is None else union | region
    if union is not None:
        problems = [f"{line} (the mask of the other files of {image_name} is kept)" for line in problems]
    return union, problems


def check_mask(mask: Array, size: tuple[int, int], pixel_classes: int, name: str, image_name: str) -> None:
    """Checks that a mask belongs to its image and to its data set.

    Args:
        mask: ``(H, W)`` uint8.
        size: (H, W) of the image.
        pixel_classes: number of pixel classes.
        name: the mask's name, for messages.
        image_name: the image's name, for messages.

    Raises:
        UmlError: the sizes differ, or a pixel value is neither a class index nor reserved.
    """
    _check_size(mask, size, name, image_name)
    largest = mask[class_is_known(mask)].max(initial=0)
    if largest >= pixel_classes:
        raise UmlError(
            f"{name}: found pixel value {largest}, expected class indices 0 to {pixel_classes - 1}, "
            f"{ANY_REGION_PIXEL} for any region, or {UNKNOWN_PIXEL} for not known"
        )


def _check_size(mask: Array, size: tuple[int, int], name: str, image_name: str) -> None:
    if mask.shape != tuple(size):
        raise UmlError(
            f"{name}: found {mask.shape[1]} x {mask.shape[0]} pixels, "
            f"expected {size[1]} x {size[0]} as {image_name}"
        )
