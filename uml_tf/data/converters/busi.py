"""Converter of BUSI, the Breast Ultrasound Images data set, in its published folder convention.

Source: Al-Dhabyani et al., "Dataset of breast ultrasound images", Data in Brief 28, 2020.
"""

from __future__ import annotations

import csv
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from uml_tf.data.dataset import DatasetInfo, PreparedDataset, Row, write_dataset
from uml_tf.data.near_duplicates import difference_hash, group_near_duplicates
from uml_tf.data.splits import stratified_group_split
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.files import new_folder
from uml_tf.runtime.images import Array, read_image, read_mask, write_png

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


@dataclass(frozen=True)
class BusiOptions:
    """How the raw folder is converted.

    Attributes:
        seed: seed of the split.
        fractions: shares of train, val and test.
        strict: stop at the first file that does not fit, instead of going on without it.
        empty_normal_masks: give a normal image without a mask an empty one; by the data set's own
            definition a normal image has no lesion. Off: it is kept as published, label only.
    """

    seed: int = 0
    fractions: tuple[float, float, float] = (0.7, 0.1, 0.2)
    strict: bool = False
    empty_normal_masks: bool = False


@dataclass
class _Case:
    path: Path
    label: str
    masks: list[Path]
    name: str
    image: Array
    problems: list[str] = field(default_factory=list)
    mask: Array | None = None


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


def _union_of_masks(case: _Case) -> None:
    """Sets ``case.mask`` to the union of the masks that fit, and notes those that do not."""
    height, width = case.image.shape[:2]
    union = np.zeros((height, width), bool)
    fitting = 0
    for path in case.masks:
        mask = read_mask(path)
        if mask.shape != (height, width):
            found = f"{mask.shape[1]} x {mask.shape[0]}"
            case.problems.append(
                f"{path}: mask: found {found} pixels, expected {width} x {height} as {case.path.name}; "
                "left out"
            )
            continue
        union |= mask > 127
        fitting += 1
    if fitting:
        case.mask = union.astype(np.uint8)
    if case.mask is not None and (case.label == "normal") == bool(case.mask.any()):
        found = "a lesion" if case.mask.any() else "an empty mask"
        case.problems.append(f"{case.masks[0]}: mask: found {found} on a '{case.label}' image; left out")
        case.mask = None


def _read_cases(raw: Path, options: BusiOptions) -> list[_Case]:
    cases: list[_Case] = []
    taken: set[str] = set()
    for path in _find_images(raw):
        label = path.parent.name.lower()
        name = re.sub(r"[^A-Za-z0-9]+", "_", path.stem).strip("_")
        if name in taken:
            name = f"{name}_{re.sub(r'[^A-Za-z0-9]+', '_', path.parent.parent.name)}"
        taken.add(name)
        case = _Case(path, label, _masks_of(path), name, read_image(path))
        _union_of_masks(case)
        if options.strict and case.problems:
            raise UmlError(case.problems[0])
        if case.mask is None and not case.masks and label == "normal" and options.empty_normal_masks:
            case.mask = np.zeros(case.image.shape[:2], np.uint8)
        cases.append(case)
    return cases


def _known_groups(raw: Path, cases: list[_Case]) -> list[str]:
    """The group that ``groups.csv`` names for each case, "" where it names none."""
    path = raw / GROUPS_NAME
    if not path.is_file():
        return [""] * len(cases)
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        missing = {"image", "near_duplicate_group"} - set(reader.fieldnames or ())
        if missing:
            raise UmlError(f"{path}: columns: missing {', '.join(sorted(missing))}")
        group = {record["image"]: record["near_duplicate_group"] for record in reader}
    return [group.get(case.path.relative_to(raw).as_posix(), "") for case in cases]


def convert_busi(raw: Path, out: Path, options: BusiOptions) -> tuple[PreparedDataset, list[str]]:
    """Writes the prepared form of a raw BUSI folder.

    Args:
        raw: a folder that holds, at any depth, folders normal, benign and malignant with
            ``CLASS (N).png`` and ``CLASS (N)_mask.png``, ``_mask_1.png``... A file ``groups.csv`` in it
            (columns image, near_duplicate_group) adds to the near-duplicates that are found.
        out: the new folder.
        options: split, strictness, normal masks.

    Returns:
        The data set, and one line for each file that was passed over.

    Raises:
        UmlError: there are no images, one cannot be read, or (``strict``) a mask does not fit.
    """
    cases = _read_cases(raw, options)
    hashes = [difference_hash(case.image) for case in cases]
    groups = group_near_duplicates(hashes, _known_groups(raw, cases))
    subjects = [f"group_{group:04d}" for group in groups]
    strata = [f"{case.label} {'mask' if case.mask is not None else 'label only'}" for case in cases]
    splits = stratified_group_split(strata, subjects, options.fractions, options.seed)
    with new_folder(out) as folder:
        rows = [
            _write_case(folder, case, split, subject)
            for case, split, subject in zip(cases, splits, subjects, strict=True)
        ]
        write_dataset(folder, INFO, rows)
    problems = [problem for case in cases for problem in case.problems]
    return PreparedDataset.open(out), problems


def _write_case(folder: Path, case: _Case, split: str, subject: str) -> Row:
    image = Path("images") / f"{case.name}.png"
    (folder / "images").mkdir(exist_ok=True)
    shutil.copyfile(case.path, folder / image)
    mask = ""
    if case.mask is not None:
        mask = f"masks/{case.name}.png"
        write_png(folder / mask, case.mask)
    return Row(str(image), mask, case.label, split, subject)
