"""Verification of a prepared data set, before anything is trained on it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from uml_tf.data.dataset import MANIFEST_NAME, SPLITS, PreparedDataset, Row
from uml_tf.data.near_duplicates import difference_hash, group_near_duplicates
from uml_tf.data.reading import read_row
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.images import Array


@dataclass(frozen=True)
class CheckReport:
    """What a data set holds and what is wrong with it.

    Attributes:
        counts: (split, label) -> (images, images with a mask).
        subjects: split -> number of subjects.
        pixel_share: pixel class -> share of all masked pixels, in [0, 1].
        problems: one line each; empty when the data set is sound.
    """

    counts: dict[tuple[str, str], tuple[int, int]]
    subjects: dict[str, int]
    pixel_share: dict[str, float]
    problems: list[str] = field(default_factory=list)


def _check_row(dataset: PreparedDataset, row: Row, pixels: Counter[int]) -> Array | None:
    """The row's hash, or None when its image cannot be read; raises at the first problem."""
    dataset.label_index(row)
    image, mask = read_row(dataset, row)
    if mask is not None:
        values, counts = np.unique(mask, return_counts=True)
        pixels.update(dict(zip(values.tolist(), counts.tolist(), strict=True)))
    elif not row.label:
        raise UmlError(f"{dataset.root / row.image}: found neither label nor mask, expected at least one")
    return difference_hash(image)


def _divided(dataset: PreparedDataset, rows: list[Row], groups: list[str], kind: str) -> list[str]:
    """One problem for each group of rows that lies on more than one split."""
    members: dict[str, list[Row]] = defaultdict(list)
    for row, group in zip(rows, groups, strict=True):
        members[group].append(row)
    problems = []
    for group, inside in members.items():
        splits = sorted({row.split for row in inside}, key=SPLITS.index)
        if len(splits) > 1:
            first = {split: next(row.image for row in inside if row.split == split) for split in splits}
            where = ", ".join(f"{split} has {image}" for split, image in first.items())
            name = f"{kind} '{group}'" if kind == "subject" else kind
            problems.append(f"{dataset.root / MANIFEST_NAME}: {name} is on several splits: {where}")
    return problems


def check_dataset(
    dataset: PreparedDataset, progress: Callable[[int], None] = lambda done: None
) -> CheckReport:
    """Opens every file and looks at every rule of the prepared form.

    Checked: files decode, sizes match, pixel values are class indices, labels are known, every image has
    a label or a mask, no image is listed twice, no subject and no near-duplicate group is on two splits.

    Args:
        dataset: the data set.
        progress: called with the number of rows done.
    """
    problems: list[str] = []
    pixels: Counter[int] = Counter()
    hashes, hashed_rows = [], []
    seen: set[str] = set()
    for index, row in enumerate(dataset.rows, start=1):
        if row.image in seen:
            problems.append(f"{dataset.root / MANIFEST_NAME}: image: '{row.image}' is listed twice")
        seen.add(row.image)
        try:
            hashes.append(_check_row(dataset, row, pixels))
            hashed_rows.append(row)
        except UmlError as error:
            problems.append(str(error))
        progress(index)
    labelled = [row for row in dataset.rows if row.subject]
    problems += _divided(dataset, labelled, [row.subject for row in labelled], "subject")
    if hashes:
        groups = [str(group) for group in group_near_duplicates([h for h in hashes if h is not None])]
        problems += _divided(dataset, hashed_rows, groups, "a group of near-duplicate images")
    problems += [
        f"{dataset.root / MANIFEST_NAME}: split: found no '{split}' row"
        for split in SPLITS
        if not any(row.split == split for row in dataset.rows)
    ]
    return CheckReport(
        _counts(dataset),
        {s: len({row.subject for row in dataset.rows if row.split == s}) for s in SPLITS},
        _shares(dataset, pixels),
        problems,
    )


def _counts(dataset: PreparedDataset) -> dict[tuple[str, str], tuple[int, int]]:
    images = Counter((row.split, row.label) for row in dataset.rows)
    masks = Counter((row.split, row.label) for row in dataset.rows if row.mask)
    return {key: (count, masks[key]) for key, count in images.items()}


def _shares(dataset: PreparedDataset, pixels: Counter[int]) -> dict[str, float]:
    total = max(sum(pixels.values()), 1)
    return {name: pixels[index] / total for index, name in enumerate(dataset.info.pixel_classes)}
