"""Columns of the manifest that describe images and patients: site, device, sex, age, or any other."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

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


def _as_numbers(values: Mapping[str, str]) -> dict[str, float] | None:
    """Image -> its number, of those that are finite; None where a value is no number."""
    try:
        numbers = {image: float(value) for image, value in values.items()}
    except ValueError:
        return None
    return {image: number for image, number in numbers.items() if math.isfinite(number)}


def _band_names(edges: Sequence[float]) -> list[str]:
    """A name for each band between two edges, which no other band has."""
    texts = [f"{edge:g}" for edge in edges]
    if len(set(texts)) < len(edges):
        texts = [np.format_float_positional(edge, trim="-") for edge in edges]
    bands = [f"{low} to below {high}" for low, high in pairwise(texts)]
    return [*bands[:-1], f"{texts[-2]} to {texts[-1]}"]


def _bands(numbers: Mapping[str, float]) -> dict[str, list[str]]:
    """Name of a band -> its images; each band has about equally many."""
    found = list(numbers.values())
    edges = np.unique(np.quantile(found, np.linspace(0, 1, _BANDS + 1), method="nearest")).tolist()
    places = np.clip(np.searchsorted(edges, found, side="right") - 1, 0, len(edges) - 2)
    return {
        name: [image for image, own in zip(numbers, places, strict=True) if own == place]
        for place, name in enumerate(_band_names(edges))
    }


def groups(values: Mapping[str, str]) -> dict[str, list[str]]:
    """Name of a group -> its images.

    A group has one value of the column. A column of numbers with more than 12 different ones, such as an age,
    is cut into four bands of about equally many images.

    Args:
        values: image -> value of a column; "" is the group "not stated", and in a column of numbers all that
            is not finite, such as "nan", too.
    """
    stated = {image: value for image, value in values.items() if value not in ("", NOT_STATED)}
    numbers = _as_numbers(stated)
    if numbers is not None:
        stated = {image: stated[image] for image in numbers}
    if numbers is not None and len(set(numbers.values())) > _MOST_VALUES:
        found = _bands(numbers)
    else:
        names = sorted(set(stated.values()))
        found = {name: [image for image in stated if stated[image] == name] for name in names}
    missing = [image for image in values if image not in stated]
    return {name: images for name, images in found.items() if images} | (
        {NOT_STATED: missing} if missing else {}
    )
