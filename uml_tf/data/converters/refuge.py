"""Converter of REFUGE: the fundus with optic disc and cup, in its three published splits.

Source: Orlando et al., "REFUGE Challenge: A unified framework for evaluating automated methods for glaucoma
assessment from fundus photographs", Medical Image Analysis 59, 2020.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from uml_tf.data.converter import CONVERTERS, Case, Converter, RawDataset
from uml_tf.data.dataset import DatasetInfo
from uml_tf.data.raw.fundus import CLASSES, GLAUCOMA, NORMAL, PIXEL_CLASSES, UNIONS, PublishedFundusOptions
from uml_tf.data.raw.named_files import files_by_key, published
from uml_tf.data.raw.pixel_values import read_class_mask
from uml_tf.data.raw.table import read_table
from uml_tf.data.raw.values import PixelValues
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.files import read_text

VALUES = PixelValues.parse("255=background,128=rim,0=cup")
_SPLIT_OF_INITIAL = {"g": "train", "n": "train", "V": "val", "T": "test"}
_LABEL_OF_INITIAL = {"g": GLAUCOMA, "n": NORMAL}
_LABEL_OF_FOLDER = {"g": GLAUCOMA, "glaucoma": GLAUCOMA, "n": NORMAL, "non-glaucoma": NORMAL}
_PLACES = {0.0: 0, 1.0: 1}
_LABEL_COLUMNS = ("Label", "Glaucoma Label", "Label (Glaucoma=1)")

INFO = DatasetInfo(
    name="refuge",
    image_classes=CLASSES,
    pixel_classes=PIXEL_CLASSES,
    source="Orlando et al., REFUGE Challenge, Medical Image Analysis 59, 2020",
    licence="for research; cite the article",
    unions=UNIONS,
)


def _label(value: Any, image: str, path: Path) -> str:
    """The class of a stored label; "" where it is empty."""
    text = "" if value is None else str(value).strip()
    try:
        return CLASSES[_PLACES[float(text)]] if text else ""
    except (ValueError, KeyError):
        raise UmlError(
            f"{path}: {image}: label: found '{text}', expected 0 or 1, or nothing where it is not known"
        ) from None


def _listed_labels(raw: Path) -> dict[str, str]:
    """Name of an image without suffix -> label, of every CSV and every ``index.json`` that has ImgName."""
    stored: list[tuple[str, Any, Path]] = []
    for path in sorted(raw.rglob("*.csv")):
        table = read_table(path)
        column = next((name for name in _LABEL_COLUMNS if name in table.columns), None)
        if column is not None and "ImgName" in table.columns:
            stored += [(row["ImgName"], row[column], path) for row in table.records]
    for path in sorted(raw.rglob("index.json")):
        try:
            entries = json.loads(read_text(path)).values()
            stored += [(str(e["ImgName"]), e["Label"], path) for e in entries if "Label" in e]
        except (json.JSONDecodeError, AttributeError, KeyError, TypeError) as error:
            raise UmlError(f"{path}: found {error}, expected entries with ImgName and Label") from error
    labels = ((Path(image).stem, _label(value, image, path)) for image, value, path in stored)
    return {stem: label for stem, label in labels if label}


def _find(raw: Path, options: PublishedFundusOptions) -> RawDataset:
    """Finds, at any depth, photographs ``g0001.jpg``, ``n0001.jpg``, ``V0001.jpg``, ``T0001.jpg``, and masks.

    A mask has its photograph's name, with ``.bmp`` or ``.png``.

    The label of a training photograph is its initial. Of another it is listed in a CSV or an ``index.json``
    (ImgName, Label), or is the folder of photograph or mask (G, N, Glaucoma, Non-Glaucoma).
    """
    images = files_by_key(raw, r"([gnVT]\d{4})\.jpg")
    if not images:
        raise UmlError(f"{raw}: found no g0001.jpg, n0001.jpg, V0001.jpg or T0001.jpg, expected REFUGE")
    masks = files_by_key(raw, r"([gnVT]\d{4})\.(?:bmp|png)")
    listed = _listed_labels(raw)
    keeps = published((_SPLIT_OF_INITIAL[key[0]] for key in images), options.new_split)

    def read(key: str) -> Case:
        folders = [images[key].parent, *([masks[key].parent] if key in masks else [])]
        of_folder = (_LABEL_OF_FOLDER.get(folder.name.lower(), "") for folder in folders)
        label = _LABEL_OF_INITIAL.get(key[0]) or listed.get(key) or next(filter(None, of_folder), "")
        mask, problems = None, []
        if key in masks:
            try:
                mask = read_class_mask(masks[key], VALUES)
            except UmlError as error:
                problems.append(str(error))
        split = _SPLIT_OF_INITIAL[key[0]] if keeps else ""
        return Case(key, images[key], label, mask, split=split, problems=tuple(problems))

    return RawDataset(INFO, list(images), read)


CONVERTERS.add(
    "refuge",
    Converter(
        "Convert the REFUGE fundus photographs RAW, with their published splits, into OUT.",
        PublishedFundusOptions,
        _find,
    ),
)
