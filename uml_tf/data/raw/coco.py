"""Masks from a COCO annotation file: polygons, and run lengths of the uncompressed kind.

Source: Lin et al., "Microsoft COCO: Common Objects in Context", 2014; https://cocodataset.org/#format-data
"""

from __future__ import annotations

import json
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
class CocoMasks:
    """The annotations of a COCO file by image.

    Attributes:
        path: of the file, for messages.
        values: of the classes.
        images: place of an image -> (H, W) and its regions, each a class and its area as it is stored.
    """

    path: Path
    values: PixelValues
    images: Mapping[int, tuple[tuple[int, int], tuple[tuple[str, Any], ...]]]

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
        expected, regions = self.images[place]
        if expected != size:
            return None, [
                f"{self.path}: found an image of {expected[1]} x {expected[0]} pixels, "
                f"expected {size[1]} x {size[0]}"
            ]
        mask = np.zeros(size, np.uint8)
        # The later class in the list covers the earlier one, as a cup the disc; unknown covers background.
        order = {name: index for index, name in enumerate((UNKNOWN, *self.values.classes))}
        try:
            for name, stored in sorted(regions, key=lambda region: order[region[0]]):
                index = class_index(name, self.values)
                area = _area(stored, size)
                draw_over(mask, np.where(area, np.uint8(index), np.uint8(0)), covers_all=False)
        except UmlError as error:
            return None, [f"{self.path}: {error}"]
        return mask, []


def read_coco(path: Path, images: Sequence[str], values: PixelValues | None) -> CocoMasks:
    """Reads a COCO file.

    Args:
        path: the file.
        images: paths of the images relative to the raw folder, with slashes.
        values: names or numbers of categories -> pixel classes; None for a class of each category, in the
            order of their numbers.

    Raises:
        UmlError: it is no COCO file, or has a category that ``values`` does not list beside the background.
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
                "size": f"{image['height']} {image['width']}",
            }
            for image in data["images"]
        )
        by_id = {str(number): tuple(found) for number, found in regions.items()}
    except (KeyError, TypeError) as error:
        raise UmlError(f"{path}: found an entry without {error}, expected a COCO file") from error
    rows = records_of_images(Table(path, ("image", "id", "size"), records), "image", images)
    found = {}
    for place, row in enumerate(rows):
        if row is not None:
            height, width = map(int, row["size"].split())
            found[place] = ((height, width), by_id.get(row["id"], ()))
    if not found:
        raise UmlError(f"{path}: found none of the {len(images)} images of RAW among its file names")
    return CocoMasks(path, values, found)


def _mapping(data: Any) -> Mapping[str, Any]:
    return data if isinstance(data, dict) else {}


def _classes(
    path: Path, categories: Sequence[Mapping[str, Any]], values: PixelValues | None
) -> tuple[dict[Any, str], PixelValues]:
    """Category number -> pixel class, and the values of the classes."""
    ordered = sorted(categories, key=lambda category: int(category["id"]))
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


def _area(stored: Any, size: tuple[int, int]) -> Array:
    """The area ``(H, W)`` bool of a stored segmentation."""
    if isinstance(stored, list):
        area = np.zeros(size, bool)
        for polygon in stored:
            if len(polygon) < 6 or len(polygon) % 2:
                raise UmlError(f"found a polygon of {len(polygon)} numbers, expected x and y of 3 corners")
            area |= fill_polygon(np.array(polygon, float).reshape(-1, 2), size)
        return area
    counts = _mapping(stored).get("counts")
    if not isinstance(counts, list) or not counts:
        raise UmlError("found compressed run lengths, expected polygons or run lengths as a list of numbers")
    if tuple(stored.get("size", ())) != size:
        raise UmlError(f"found run lengths of size {stored.get('size')}, expected {list(size)}")
    return decode_run_lengths(counts, size)
