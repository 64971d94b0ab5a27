"""Masks from a COCO annotation file: polygons, and run lengths of the uncompressed kind.

Source: Lin et al., "Microsoft COCO: Common Objects in Context", 2014; https://cocodataset.org/#format-data
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from uml_tf.data.raw.mask_files import draw_over
from uml_tf.data.raw.outlines import decode_run_lengths, fill_polygon
from uml_tf.data.raw.pixel_values import class_index
from uml_tf.data.raw.table import Table, records_of_images
from uml_tf.data.raw.values import BACKGROUND, UNKNOWN, PixelValues, pixel_classes
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.files import read_text
from uml_tf.runtime.images import Array


@dataclass(frozen=True)
class CocoImage:
    """An image and its annotations.

    Attributes:
        name: in the file, for messages.
        size: (H, W).
        regions: of each its class and its area as it is stored.
    """

    name: str
    size: tuple[int, int]
    regions: tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class CocoMasks:
    """The annotations of a COCO file by image.

    Attributes:
        path: of the file, for messages.
        values: of the classes.
        images: by the place of an image.
    """

    path: Path
    values: PixelValues
    images: Mapping[int, CocoImage]

    def read(self, place: int, size: tuple[int, int]) -> tuple[Array | None, list[str]]:
        """The mask of an image.

        Args:
            place: of the image.
            size: its (H, W).

        Returns:
            ``(H, W)`` uint8 class indices, all 0 for an image that is listed without a region, None for one
            that is not listed or does not fit; and a line for what does not fit.
        """
        if place not in self.images:
            return None, []
        image = self.images[place]
        if image.size != size:
            return None, [
                f"{self.path}: {image.name}: found {image.size[1]} x {image.size[0]} pixels, "
                f"expected {size[1]} x {size[0]}"
            ]
        mask = np.zeros(size, np.uint8)
        # The later class in the list covers the earlier one, as a cup the disc; unknown covers background.
        order = {name: index for index, name in enumerate((UNKNOWN, *self.values.classes))}
        try:
            for name, stored in sorted(image.regions, key=lambda region: order[region[0]]):
                index = class_index(name, self.values)
                area = _area(stored, size)
                draw_over(mask, np.where(area, np.uint8(index), np.uint8(0)), covers_all=False)
        except UmlError as error:
            return None, [f"{self.path}: {image.name}: segmentation: {error}"]
        return mask, []


def read_coco(path: Path, images: Sequence[str], values: PixelValues | None) -> CocoMasks:
    """Reads a COCO file.

    Args:
        path: the file.
        images: paths of the images relative to the raw folder, with slashes.
        values: names or numbers of categories -> pixel classes; None for a class of each category, in the
            order of their numbers.

    Raises:
        UmlError: it is no COCO file, has a category that ``values`` does not list beside the background, or a
            number of a category or a size of one of the images is no whole number.
    """
    try:
        data = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise UmlError(f"{path}: not valid JSON ({error})") from error
    missing = [key for key in ("images", "annotations", "categories") if key not in _mapping(data)]
    if missing:
        raise UmlError(f"{path}: found no '{missing[0]}', expected a COCO file")
    try:
        class_of, values = _classes(path, data["categories"], values)
        regions: dict[int, list[tuple[str, Any]]] = defaultdict(list)
        for annotation in data["annotations"]:
            name = class_of[annotation["category_id"]]
            if name != BACKGROUND:
                regions[annotation["image_id"]].append((name, annotation["segmentation"]))
        # The file name column of a table, so that images are found as there.
        records = tuple(
            {
                "image": str(image["file_name"]),
                "id": str(image["id"]),
                "height": str(image["height"]),
                "width": str(image["width"]),
            }
            for image in data["images"]
        )
        by_id = {str(number): tuple(found) for number, found in regions.items()}
    except (KeyError, TypeError) as error:
        raise UmlError(f"{path}: found an entry without {error}, expected a COCO file") from error
    rows = records_of_images(Table(path, ("image", "id", "height", "width"), records), "image", images)
    found = {}
    for place, row in enumerate(rows):
        if row is not None:
            height, width = (
                _whole(row[side], f"{path}: {row['image']}: {side}") for side in ("height", "width")
            )
            found[place] = CocoImage(row["image"], (height, width), by_id.get(row["id"], ()))
    if not found:
        raise UmlError(f"{path}: found none of the {len(images)} images of RAW among its file names")
    return CocoMasks(path, values, found)


def _mapping(data: Any) -> Mapping[str, Any]:
    return data if isinstance(data, dict) else {}


def _whole(value: Any, field: str) -> int:
    """A whole number, also of the form 512.0 or "512"."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not number.is_integer():
        raise UmlError(f"{field}: found '{value}', expected a whole number")
    return int(number)


def _classes(
    path: Path, categories: Sequence[Mapping[str, Any]], values: PixelValues | None
) -> tuple[dict[Any, str], PixelValues]:
    """Category number -> pixel class, and the values of the classes."""
    ordered = sorted(
        categories,
        key=lambda category: _whole(category["id"], f"{path}: category '{category['name']}': id"),
    )
    if values is None:
        names = {category["id"]: str(category["name"]) for category in ordered}
        return names, PixelValues(pixel_classes(list(names.values())), (), {}, {}, False)
    of_category = {}
    for category in ordered:
        name, number = str(category["name"]), str(category["id"])
        found = values.names.get(name) or values.names.get(number)
        if found is None and values.is_complete:
            listed = ", ".join(values.names)
            raise UmlError(f"{path}: found category '{name}', expected one of {listed} (--pixel-values)")
        of_category[category["id"]] = found or BACKGROUND
    return of_category, values


def _are_numbers(values: Any, *kinds: type[float]) -> bool:
    return isinstance(values, list) and all(isinstance(v, kinds) and math.isfinite(v) for v in values)


def _shown(stored: Any) -> str:
    """The beginning of a value, for messages."""
    return json.dumps(stored)[:40]


def _area(stored: Any, size: tuple[int, int]) -> Array:
    """The area ``(H, W)`` bool of a stored segmentation.

    Raises:
        UmlError: it is empty, or neither polygons nor run lengths of this size.
    """
    if not stored:
        raise UmlError(f"found {_shown(stored)} (a box alone?), expected polygons or run lengths")
    if isinstance(stored, list):
        area = np.zeros(size, bool)
        for polygon in stored:
            if not _are_numbers(polygon, int, float):
                raise UmlError(
                    f"found {_shown(polygon)} for a polygon, expected a list of numbers in a list of polygons"
                )
            if len(polygon) < 6 or len(polygon) % 2:
                raise UmlError(f"found a polygon of {len(polygon)} numbers, expected x and y of 3 corners")
            area |= fill_polygon(np.array(polygon, float).reshape(-1, 2), size)
        return area
    counts = _mapping(stored).get("counts")
    if not counts or not _are_numbers(counts, int):
        found = "compressed run lengths" if isinstance(counts, str) else _shown(stored)
        raise UmlError(f"found {found}, expected polygons or run lengths as a list of numbers")
    if stored.get("size") != list(size):
        raise UmlError(f"found run lengths of size {stored.get('size')}, expected {list(size)}")
    return decode_run_lengths(counts, size)
