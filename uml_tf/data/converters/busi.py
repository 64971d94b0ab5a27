"""Converter of BUSI, the Breast Ultrasound Images data set, in its published folder convention.

Source: Al-Dhabyani et al., "Dataset of breast ultrasound images", Data in Brief 28, 2020.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
from pydantic import Field

from uml_tf.data.converter import CONVERTERS, Case, Converter, RawDataset, RawOptions
from uml_tf.data.dataset import DatasetInfo
from uml_tf.data.masks import read_union
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.files import read_text
from uml_tf.runtime.images import read_image_size

CLASSES = ("normal", "benign", "malignant")
GROUPS_NAME = "groups.csv"
_MASK = re.compile(r"_mask(_\d+)?$")

INFO = DatasetInfo(
    name="BUSI",
    image_classes=CLASSES,
    pixel_classes=("background", "lesion"),
    source="Al-Dhabyani et al., Dataset of breast ultrasound images, Data in Brief 28, 2020",
    licence="for research; cite the article",
)


class BusiOptions(RawOptions):
    """How the raw folder is converted.

    Attributes:
        empty_normal_masks: give a normal image without a mask an empty one: by the definition of the data set
            a normal image has no lesion. Off: it stays as published, label only.
    """

    empty_normal_masks: bool = Field(
        default=False,
        description="Give a label-only normal image an empty mask: by definition it has no lesion.",
    )


def _find_images(raw: Path) -> list[Path]:
    if not raw.is_dir():
        raise UmlError(f"{raw}: no such folder, expected BUSI's class folders {', '.join(CLASSES)}")
    images = [
        path
        for path in sorted(raw.rglob("*.png"))
        if path.parent.name.lower() in CLASSES and not _MASK.search(path.stem)
    ]
    if not images:
        raise UmlError(f"{raw}: found no 'CLASS/CLASS (N).png', expected folders named {', '.join(CLASSES)}")
    return images


def _masks_of(image: Path) -> list[Path]:
    # Not a glob pattern on the stem: it has brackets.
    return sorted(
        path
        for path in image.parent.glob("*_mask*.png")
        if _MASK.sub("", path.stem) == image.stem and path.stem != image.stem
    )


def _read(path: Path, options: BusiOptions, group: str) -> Case:
    label, masks = path.parent.name.lower(), _masks_of(path)
    size = read_image_size(path)
    lesion, problems = read_union(masks, size, path.name)
    if lesion is not None and (label == "normal") == bool(lesion.any()):
        found = "a lesion" if lesion.any() else "an empty mask"
        problems.append(f"{masks[0]}: mask: found {found} on a '{label}' image")
        lesion = None
    if not masks and label == "normal" and options.empty_normal_masks:
        lesion = np.zeros(size, bool)
    mask = None if lesion is None else lesion.astype(np.uint8)
    return Case(path.stem, path, label, mask, group=group, problems=tuple(problems))


def _known_groups(raw: Path) -> dict[str, str]:
    """Image path relative to ``raw`` -> the group that ``groups.csv`` names for it."""
    path = raw / GROUPS_NAME
    if not path.is_file():
        return {}
    reader = csv.DictReader(read_text(path).splitlines())
    missing = {"image", "near_duplicate_group"} - set(reader.fieldnames or ())
    if missing:
        raise UmlError(f"{path}: columns: missing {', '.join(sorted(missing))}")
    return {record["image"]: record["near_duplicate_group"] for record in reader}


def _find(raw: Path, options: BusiOptions) -> RawDataset:
    """Finds, at any depth, folders normal, benign and malignant with ``CLASS (N).png`` and ``CLASS
    (N)_mask.png``, ``CLASS (N)_mask_1.png``... A file ``groups.csv`` (columns image, near_duplicate_group)
    names known copies.
    """
    groups = _known_groups(raw)

    def read(path: Path) -> Case:
        return _read(path, options, groups.get(path.relative_to(raw).as_posix(), ""))

    return RawDataset(INFO, _find_images(raw), read)


CONVERTERS.add(
    "busi", Converter("Convert the BUSI breast-ultrasound folders RAW into OUT.", BusiOptions, _find)
)
