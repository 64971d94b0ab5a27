"""Converter of BUSI, the Breast Ultrasound Images data set, in its published folder convention.

Source: Al-Dhabyani et al., "Dataset of breast ultrasound images", Data in Brief 28, 2020.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from pydantic import Field

from uml_tf.data.converter import CONVERTERS, Case, Converter, RawDataset, RawOptions
from uml_tf.data.dataset import DatasetInfo
from uml_tf.data.masks import read_union
from uml_tf.data.raw.file_patterns import FilePattern
from uml_tf.data.raw.table import read_table
from uml_tf.runtime.errors import UmlError
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
        extra_masks: folder ``CLASS/CLASS (N)_mask.png`` with the masks of images that have none beside them.
    """

    empty_normal_masks: bool = Field(
        default=False,
        description="Give a label-only normal image an empty mask: by definition it has no lesion.",
    )
    extra_masks: Path | None = Field(
        default=None,
        description="Folder, also inside RAW, of CLASS/CLASS (N)_mask.png for images with no mask beside.",
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


def _mask_patterns(raw: Path, options: BusiOptions) -> list[FilePattern]:
    """Where masks are looked for; the first place that has one counts."""
    patterns = [FilePattern("{stem}_mask*.png", raw)]
    if options.extra_masks is not None:
        folder = raw / options.extra_masks  # an absolute path stays as it is
        if not folder.is_dir():
            folder = options.extra_masks
        if not folder.is_dir():
            raise UmlError(f"--extra-masks: found no folder {options.extra_masks}, also not inside {raw}")
        patterns.append(FilePattern("/{folder}/{stem}_mask*.png", folder))
    return patterns


def _masks_of(image: Path, patterns: list[FilePattern]) -> list[Path]:
    for pattern in patterns:
        found = [path for path in pattern.matches(image) if _MASK.sub("", path.stem) == image.stem]
        if found:
            return found
    return []


def _read(path: Path, options: BusiOptions, group: str, patterns: list[FilePattern]) -> Case:
    label, masks = path.parent.name.lower(), _masks_of(path, patterns)
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
    table = read_table(path, ["image", "near_duplicate_group"])
    return {record["image"]: record["near_duplicate_group"] for record in table.records}


def _find(raw: Path, options: BusiOptions) -> RawDataset:
    """Finds, at any depth, folders normal, benign and malignant with ``CLASS (N).png`` and ``CLASS
    (N)_mask.png``, ``CLASS (N)_mask_1.png``... A file ``groups.csv`` (columns image, near_duplicate_group)
    names known copies.
    """
    images = _find_images(raw)
    groups, patterns = _known_groups(raw), _mask_patterns(raw, options)

    def read(path: Path) -> Case:
        return _read(path, options, groups.get(path.relative_to(raw).as_posix(), ""), patterns)

    return RawDataset(INFO, images, read)


CONVERTERS.add(
    "busi", Converter("Convert the BUSI breast-ultrasound folders RAW into OUT.", BusiOptions, _find)
)
