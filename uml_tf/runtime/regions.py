"""The regions that are measured and reported: the pixel classes, and the unions that a data set names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

UNKNOWN_PIXEL = 255
"""Pixel value of a mask where the class is not known. Such a pixel counts in no loss and in no metric."""

ANY_REGION_PIXEL = 254
"""Pixel value of a mask where the class is one of the foreground classes, and which is not known.

Such a pixel teaches that it is no background, and counts for the regions that unite all foreground classes.
For everything else its class is not known.
"""

MOST_CLASSES = ANY_REGION_PIXEL - 1
"""Largest number of pixel classes, background included: values from ``ANY_REGION_PIXEL`` on are reserved."""


def class_is_known(mask: Any) -> Any:
    """Where the pixels of a mask, an array or a tensor, have a class: neither of the two reserved values."""
    return mask < ANY_REGION_PIXEL


def region_members(pixel_classes: Sequence[str], unions: Mapping[str, Sequence[str]]) -> dict[str, list[int]]:
    """Class indices by region name: every foreground class, then the unions.

    Args:
        pixel_classes: names in index order, background first.
        unions: region -> the pixel classes it unites.
    """
    names = list(pixel_classes)
    regions = {name: [index] for index, name in enumerate(names) if index > 0}
    return regions | {union: [names.index(n) for n in parts] for union, parts in unions.items()}
