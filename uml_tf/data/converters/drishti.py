"""Converter of Drishti-GS1: the fundus with the optic disc and cup as four experts drew them.

Source: Sivaswamy et al., "A Comprehensive Retinal Image Dataset for the Assessment of Glaucoma from the Optic
Nerve Head Analysis", JSM Biomedical Imaging Data Papers 2, 2015.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from uml_tf.data.converter import CONVERTERS, Case, Converter, RawDataset
from uml_tf.data.dataset import DatasetInfo
from uml_tf.data.masks import read_mask
from uml_tf.data.raw.fundus import CLASSES, PIXEL_CLASSES, UNIONS, PublishedFundusOptions, disc_and_cup
from uml_tf.data.raw.image_facts import split_of_folders
from uml_tf.data.raw.named_files import files_by_key, published
from uml_tf.data.raw.table import read_table, records_of_images
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.images import Array

EXPERTS = 4
MAJORITY = 2
LABELS_NAME = "labels.csv"

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
    """One photograph: its file, label, published split, and the soft maps of disc and cup (or None)."""

    image: Path
    label: str
    split: str
    soft_maps: tuple[Path, Path] | None


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
    problems: list[str] = []
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
        problems=tuple(problems),
    )


def _labels(raw: Path, names: list[str]) -> list[str]:
    """Of ``labels.csv``, or of the image's folder (GLAUCOMA, NORMAL); "" where neither tells it."""
    path = raw / LABELS_NAME
    if path.is_file():
        rows = records_of_images(read_table(path, ["image", "label"]), "image", names)
        return ["" if row is None else row["label"] for row in rows]
    folders = [Path(name).parent.name.lower() for name in names]
    return [folder if folder in CLASSES else "" for folder in folders]


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
            label,
            split if keeps else "",
            (discs[key], cups[key]) if {key} <= discs.keys() & cups.keys() else None,
        )
        for (key, path), label, split in zip(images.items(), _labels(raw, names), splits, strict=True)
    ]
    return RawDataset(INFO, eyes, partial(_read))


CONVERTERS.add(
    "drishti",
    Converter(
        "Convert the Drishti-GS1 fundus photographs RAW, drawn by four experts, into OUT.",
        PublishedFundusOptions,
        _find,
    ),
)
