"""Converter of Drishti-GS1: the fundus with the optic disc and cup as four experts drew them, and its grades.

Source: Sivaswamy et al., "A Comprehensive Retinal Image Dataset for the Assessment of Glaucoma from the Optic
Nerve Head Analysis", JSM Biomedical Imaging Data Papers 2, 2015.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from uml_tf.data.converter import CONVERTERS, Case, Converter, RawDataset
from uml_tf.data.dataset import DatasetInfo
from uml_tf.data.manifest_values import grades_text
from uml_tf.data.masks import read_mask
from uml_tf.data.raw.fundus import CLASSES, PIXEL_CLASSES, UNIONS, PublishedFundusOptions, disc_and_cup
from uml_tf.data.raw.image_facts import split_of_folders
from uml_tf.data.raw.named_files import files_by_key, published
from uml_tf.data.raw.table import Record, read_table, records_of_images
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.images import Array

EXPERTS = 4
MAJORITY = 2
LABELS_NAME = "labels.csv"
_EXPERT = re.compile(r"expert\d+")
_GRADES = {str(index): name for index, name in enumerate(CLASSES)}
"""As the table holds an expert's grade -> the class."""

INFO = DatasetInfo(
    name="drishti",
    image_classes=CLASSES,
    pixel_classes=PIXEL_CLASSES,
    source="Sivaswamy et al., Drishti-GS1, JSM Biomedical Imaging Data Papers 2, 2015",
    licence="for research; cite the article",
    unions=UNIONS,
)


@dataclass(frozen=True)
class _Eye:
    """One photograph: its file, published split, and the soft maps of disc and cup (or None).

    Its label is "" where nothing tells it; ``grades`` and ``problems`` are those of the case.
    """

    image: Path
    split: str
    soft_maps: tuple[Path, Path] | None
    label: str = ""
    grades: str = ""
    problems: tuple[str, ...] = ()


def read_votes(path: Path) -> Array:
    """Number of experts, 0 to 4, who say that a pixel belongs to a region, ``(H, W)``, of a soft map.

    Raises:
        UmlError: it cannot be read, or is no grey picture.
    """
    return np.rint(read_mask(path) / 255 * EXPERTS).astype(np.uint8)


def mask_and_agreement(disc_votes: Array, cup_votes: Array) -> tuple[Array, Array]:
    """The mask that at least two of the four experts drew, and the shares of the experts.

    Args:
        disc_votes: ``(H, W)`` of ``read_votes``.
        cup_votes: the same. An expert's cup lies inside his disc, so a pixel has no more votes for the cup
            than for the disc.

    Returns:
        ``(H, W)`` uint8 class indices; and ``(H, W, 3)`` share of the experts for background, rim and cup.
    """
    cup_votes = np.minimum(cup_votes, disc_votes)
    votes = np.stack([EXPERTS - disc_votes, disc_votes - cup_votes, cup_votes], axis=-1)
    return disc_and_cup(disc_votes >= MAJORITY, cup_votes >= MAJORITY), votes / EXPERTS


def _read_both(soft_maps: tuple[Path, Path]) -> tuple[Array, Array]:
    disc, cup = map(read_votes, soft_maps)
    if disc.shape != cup.shape:
        raise UmlError(f"{soft_maps[1]}: found another size than that of {soft_maps[0].name}")
    return disc, cup


def _read(eye: _Eye) -> Case:
    mask = agreement = None
    problems = list(eye.problems)
    try:
        if eye.soft_maps is not None:
            mask, agreement = mask_and_agreement(*_read_both(eye.soft_maps))
    except UmlError as error:
        problems.append(str(error))
    return Case(
        eye.image.stem,
        eye.image,
        eye.label,
        mask,
        split=eye.split,
        agreement=agreement,
        grades=eye.grades,
        problems=tuple(problems),
    )


def read_grades(record: Record) -> str:
    """The grades of a row of ``labels.csv`` as in ``Case``: of the columns expert1, expert2, and so on.

    An empty one is no grade.

    Raises:
        UmlError: a grade is neither 0 (normal) nor 1 (glaucoma).
    """
    given = {column: grade for column, grade in record.items() if _EXPERT.fullmatch(column) and grade}
    for column, grade in given.items():
        if grade not in _GRADES:
            expected = " or ".join(f"{key} ({name})" for key, name in _GRADES.items())
            raise UmlError(f"{column}: found '{grade}', expected {expected}")
    counts = Counter(given.values())
    return grades_text(counts[key] for key in _GRADES)


def _with_record(eye: _Eye, record: Record | None, path: Path) -> _Eye:
    """The photograph with what its row of ``labels.csv`` tells."""
    if record is None:
        return eye
    try:
        return replace(eye, label=record["label"], grades=read_grades(record))
    except UmlError as error:
        return replace(eye, label=record["label"], problems=(f"{path}: {eye.image.name}: {error}",))


def _labelled(raw: Path, eyes: Sequence[_Eye]) -> list[_Eye]:
    """With the labels and grades of ``labels.csv``, or else the labels of the folders GLAUCOMA and NORMAL."""
    path = raw / LABELS_NAME
    if path.is_file():
        names = [eye.image.relative_to(raw).as_posix() for eye in eyes]
        records = records_of_images(read_table(path, ["image", "label"]), "image", names)
        return [_with_record(eye, record, path) for eye, record in zip(eyes, records, strict=True)]
    folders = [eye.image.parent.name.lower() for eye in eyes]
    return [
        replace(eye, label=folder if folder in CLASSES else "")
        for eye, folder in zip(eyes, folders, strict=True)
    ]


def _find(raw: Path, options: PublishedFundusOptions) -> RawDataset:
    """Finds, at any depth, ``drishtiGS_N.png`` and ``drishtiGS_N_ODsegSoftmap.png`` with its cup.

    Photographs under a folder Test are the published test split.
    """
    images = files_by_key(raw, r"(drishtiGS_\d+)\.(?:png|jpg)")
    if not images:
        raise UmlError(f"{raw}: found no drishtiGS_N.png, expected Training/Images and Training/GT")
    discs = files_by_key(raw, r"(drishtiGS_\d+)_ODsegSoftmap\.png")
    cups = files_by_key(raw, r"(drishtiGS_\d+)_cupsegSoftmap\.png")
    names = [path.relative_to(raw).as_posix() for path in images.values()]
    splits = [split_of_folders(name) or "train" for name in names]
    keeps = published(splits, options.new_split)
    eyes = [
        _Eye(
            path,
            split if keeps else "",
            (discs[key], cups[key]) if {key} <= discs.keys() & cups.keys() else None,
        )
        for (key, path), split in zip(images.items(), splits, strict=True)
    ]
    return RawDataset(INFO, _labelled(raw, eyes), partial(_read))


CONVERTERS.add(
    "drishti",
    Converter(
        "Convert the Drishti-GS1 fundus photographs RAW, drawn by four experts, into OUT.",
        PublishedFundusOptions,
        _find,
    ),
)
