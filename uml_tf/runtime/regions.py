"""The regions that are measured and reported: the pixel classes, and the unions that a data set names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

UNKNOWN_PIXEL = 255
"""Pixel value of a mask where the class is not known. Such a pixel counts in no loss and in no metric."""


def region_members(pixel_classes: Sequence[str], unions: Mapping[str, Sequence[str]]) -> dict[str, list[int]]:
    """Class indices by region name: every foreground class, then the unions.

    Args:
        pixel_classes: names in index order, background first.
        unions: region -> the pixel classes it unites.
    """
    names = list(pixel_classes)
    regions = {name: [index] for index, name in enumerate(names) if index > 0}
    return regions | {union: [names.index(n) for n in parts] for union, parts in unions.items()}
