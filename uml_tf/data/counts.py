"""How many images, masks and pixels of each class a data set holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from uml_tf.data.dataset import SPLITS, DatasetInfo, Row
from uml_tf.runtime.images import Array
from uml_tf.runtime.regions import ANY_REGION_PIXEL, UNKNOWN_PIXEL


@dataclass(frozen=True)
class DatasetCounts:
    """Numbers of images, masks and pixels.

    Attributes:
        counts: (split, label) -> (images, images with a mask).
        subjects: split -> number of subjects.
        pixel_share: pixel class -> share of all masked pixels whose class is known, in [0, 1].
        pixel_images: pixel class -> number of masks that show it.
        notes: one line for each thing that is no fault but limits what the data set can be used for.
    """

    counts: dict[tuple[str, str], tuple[int, int]]
    subjects: dict[str, int]
    pixel_share: dict[str, float]
    pixel_images: dict[str, int]
    notes: list[str]


def count_pixels(mask: Array) -> Counter[int]:
    """Pixel value -> number of pixels of a mask ``(H, W)`` uint8."""
    counts = np.bincount(mask.ravel(), minlength=1)
    return Counter({int(value): int(counts[value]) for value in np.flatnonzero(counts)})


def count(rows: Sequence[Row], masks: Iterable[Counter[int]], info: DatasetInfo) -> DatasetCounts:
    """Counts a data set.

    Args:
        rows: of the manifest.
        masks: of each mask that could be read, pixel value -> number of pixels.
        info: names of the classes.
    """
    pixels, shown = Counter[int](), Counter[int]()
    for mask in masks:
        pixels.update(mask)
        shown.update(mask.keys())
    images = Counter((row.split, row.label) for row in rows)
    masked = Counter((row.split, row.label) for row in rows if row.mask)
    known = max(pixels.total() - pixels[UNKNOWN_PIXEL] - pixels[ANY_REGION_PIXEL], 1)
    return DatasetCounts(
        {key: (number, masked[key]) for key, number in images.items()},
        {split: len({row.subject for row in rows if row.split == split}) for split in SPLITS},
        {name: pixels[index] / known for index, name in enumerate(info.pixel_classes)},
        {name: shown[index] for index, name in enumerate(info.pixel_classes)},
        _notes(rows, pixels),
    )


def _notes(rows: Sequence[Row], pixels: Counter[int]) -> list[str]:
    notes = []
    missing = [name for name in SPLITS if not any(row.split == name for row in rows)]
    if missing:
        use = "measuring" if {"train", "val"} & set(missing) else "training"
        notes.append(f"no image is on {' or '.join(missing)}: the data set is for {use} alone")
    if pixels[ANY_REGION_PIXEL]:
        share = 100 * pixels[ANY_REGION_PIXEL] / pixels.total()
        notes.append(
            f"{share:.1f} % of the masked pixels are {ANY_REGION_PIXEL}, one of the foreground classes, and "
            "which is not known"
        )
    if pixels[UNKNOWN_PIXEL]:
        share = 100 * pixels[UNKNOWN_PIXEL] / pixels.total()
        notes.append(f"{share:.1f} % of the masked pixels are {UNKNOWN_PIXEL}, whose class is not known")
        if not any(0 < value < UNKNOWN_PIXEL for value in pixels):
            notes.append(
                f"no mask shows a foreground class: if {UNKNOWN_PIXEL} is meant as foreground, convert "
                "the masks (uml-tf data folder)"
            )
    return notes
