"""Columns of the manifest that describe images and patients: site, device, sex, age, or any other."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

import numpy as np

from uml_tf.data.dataset import MANIFEST_NAME, PreparedDataset
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.files import read_text

NOT_STATED = "not stated"
_FILES = ("image", "mask", "agreement")
_MOST_VALUES = 12
"""A numeric column of more values is cut into bands."""
_BANDS = 4


def column(dataset: PreparedDataset, name: str) -> dict[str, str]:
    """Image -> what a column of ``manifest.csv`` says of it; "" where it says nothing.

    Args:
        dataset: the data set; columns beside those that uml-tf knows are read too.
        name: of the column.

    Raises:
        UmlError: there is no such column.
    """
    path = dataset.root / MANIFEST_NAME
    reader = csv.DictReader(io.StringIO(read_text(path)))
    found = [c for c in reader.fieldnames or () if c not in _FILES]
    if name not in found:
        raise UmlError(f"{path}: column: found no '{name}', expected one of {', '.join(found)}")
    return {(row["image"] or "").strip(): (row[name] or "").strip() for row in reader}


def _as_numbers(values: Sequence[str]) -> list[float] | None:
    try:
        return [float(value) for value in values]
    except ValueError:
        return None


def _band(number: float, edges: Sequence[float]) -> str:
    place = int(np.clip(np.searchsorted(edges, number, side="right") - 1, 0, len(edges) - 2))
    last = place == len(edges) - 2
    return f"{edges[place]:g} to {'' if last else 'below '}{edges[place + 1]:g}"


def groups(values: Mapping[str, str]) -> dict[str, list[str]]:
    """Name of a group -> its images.

    A group has one value of the column. A column of numbers with more than 12 different ones, such as an age,
    is cut into four bands of about equally many images.

    Args:
        values: image -> value of a column; "" is the group "not stated".
    """
    stated = {image: value for image, value in values.items() if value}
    numbers = _as_numbers(list(stated.values()))
    names: dict[str, str]
    if numbers is not None and len(set(numbers)) > _MOST_VALUES:
        edges = np.unique(np.quantile(numbers, np.linspace(0, 1, _BANDS + 1), method="nearest")).tolist()
        names = {image: _band(n, edges) for image, n in zip(stated, numbers, strict=True)}
        ordered = [_band(edge, edges) for edge in edges[:-1]]
    else:
        names = stated
        ordered = sorted(set(stated.values()))
    found = {name: [image for image in names if names[image] == name] for name in ordered}
    missing = [image for image, value in values.items() if not value]
    return {name: images for name, images in found.items() if images} | (
        {NOT_STATED: missing} if missing else {}
    )
