"""The region of interest: a locator reads the whole picture and says which part a second network reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.images import SMALLEST_SIDE
from uml_tf.runtime.placement import Box, Placement, nearest
from uml_tf.runtime.regions import region_members

Array = NDArray[Any]

LOCATOR = "locator"
"""Stem of the locator's file, which lies beside the model's: ``locator.keras``, ``locator.tflite``."""

ALL_REGIONS = ""
"""The name that stands for everything that is not background."""


@dataclass(frozen=True)
class Roi:
    """Which part of a picture a network reads.

    Attributes:
        region: pixel class or union of the locator, or ``ALL_REGIONS``.
        margin: around the region's bounding box, as a share of its longer side, on each side; at least 0.
        locator_sha256: of the locator's weights (``uml_tf.networks.files.weights_sha256``).
    """

    region: str
    margin: float
    locator_sha256: str

    @property
    def name(self) -> str:
        """The region as a message calls it."""
        return self.region or "region"


def roi_members(region: str, pixel_classes: Sequence[str], unions: dict[str, tuple[str, ...]]) -> list[int]:
    """The locator's class indices that make up a region.

    Raises:
        UmlError: the locator has no such region.
    """
    if region == ALL_REGIONS:
        return list(range(1, len(pixel_classes)))
    members = region_members(pixel_classes, unions)
    if region not in members:
        raise UmlError(f"roi: region: found '{region}', expected one of the locator's {', '.join(members)}")
    return members[region]


def region_box(mask: NDArray[np.bool_], placement: Placement, margin: float) -> Box | None:
    """The square around a region that was found in a locator's input, in pixels of the picture.

    The largest connected part of the region counts, so that single pixels elsewhere move nothing. The square
    is moved inside the picture; where it is larger than the picture, the picture's whole side is taken.

    Args:
        mask: ``(h, w)`` of the locator's input.
        placement: of the picture in that input.
        margin: see ``Roi``.

    Returns:
        The square; None where the mask is empty.
    """
    shown = placement.shown(mask).astype(np.uint8)
    count, _, parts, _ = cv2.connectedComponentsWithStats(shown, connectivity=8)
    if count < 2:
        return None
    left, top, width, height = parts[1 + int(parts[1:, cv2.CC_STAT_AREA].argmax()), :4].tolist()
    down = placement.crop.height / placement.target.height
    across = placement.crop.width / placement.target.width
    side = max(height * down, width * across) * (1 + 2 * margin)
    rows = _within(placement.crop.top + (top + height / 2) * down, side, placement.original[0])
    columns = _within(placement.crop.left + (left + width / 2) * across, side, placement.original[1])
    return Box(rows[0], columns[0], rows[1], columns[1])


def _within(centre: float, side: float, length: int) -> tuple[int, int]:
    """First pixel and number of pixels of a side around a centre, inside an axis of ``length`` pixels."""
    pixels = min(max(nearest(side), SMALLEST_SIDE), length)
    return min(max(nearest(centre - pixels / 2), 0), length - pixels), pixels


def locator_place(path: Path, name: str) -> Path:
    """Where the file of a network's locator lies: beside the network's.

    Args:
        path: the network's file.
        name: of the locator's.

    Raises:
        UmlError: both are the same file.
    """
    beside = path.with_name(name)
    if path == beside:
        raise UmlError(f"{path}: found the name of the locator's file, expected another for the network's")
    return beside


def check_locator(roi: Roi, found: str, path: Path) -> None:
    """Refuses another locator than the one that a network was trained with.

    Args:
        roi: of the network.
        found: SHA-256 of the weights of the locator that is there.
        path: of its file, for the message.

    Raises:
        UmlError: it is another.
    """
    if found != roi.locator_sha256:
        raise UmlError(
            f"{path}: weights: found a locator of SHA-256 {found[:12]}, expected {roi.locator_sha256[:12]}, "
            "with which the network was trained"
        )
