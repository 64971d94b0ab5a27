"""Verification of a prepared data set, before anything is trained on it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from uml_tf.data.dataset import MANIFEST_NAME, SPLITS, PreparedDataset, Row
from uml_tf.data.near_duplicates import DEFAULT_DISTANCE, difference_hash, near_pairs
from uml_tf.data.reading import read_row
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.images import Array


@dataclass(frozen=True)
class NearDuplicate:
    """Two images on different splits that are nearly the same.

    Attributes:
        first, second: the rows; the split of the first comes first in ``SPLITS``.
        distance: differing bits of their hashes, 0 to 256.
    """

    first: Row
    second: Row
    distance: int


@dataclass(frozen=True)
class CheckReport:
    """What a data set holds and what is wrong with it.

    Attributes:
        counts: (split, label) -> (images, images with a mask).
        subjects: split -> number of subjects.
        pixel_share: pixel class -> share of all masked pixels, in [0, 1].
        problems: one line each; empty when the data set is sound.
        near_duplicates: pairs on different splits, the closest first. They may be copies, which would let a
            network be tested on what it was trained on; or different images that are framed alike.
        notes: one line for each thing that is no fault but limits what the data set can be used for.
    """

    counts: dict[tuple[str, str], tuple[int, int]]
    subjects: dict[str, int]
    pixel_share: dict[str, float]
    problems: list[str]
    near_duplicates: list[NearDuplicate]
    notes: list[str]


def _check_row(dataset: PreparedDataset, row: Row, pixels: Counter[int]) -> Array:
    """The hash of the row's image; adds the pixel values of its mask to ``pixels``.

    Raises:
        UmlError: the row's first problem.
    """
    dataset.label_index(row)
    image, mask = read_row(dataset, row)
    if mask is not None:
        values, counts = np.unique(mask, return_counts=True)
        pixels.update(dict(zip(values.tolist(), counts.tolist(), strict=True)))
    elif not row.label:
        raise UmlError(f"{dataset.root / row.image}: found neither label nor mask, expected at least one")
    return difference_hash(image)


def _divided_subjects(dataset: PreparedDataset) -> list[str]:
    """One problem for each subject that is on more than one split."""
    members: dict[str, dict[str, str]] = defaultdict(dict)
    for row in dataset.rows:
        if row.subject:
            members[row.subject].setdefault(row.split, row.image)
    problems = []
    for subject, first in members.items():
        if len(first) > 1:
            where = ", ".join(f"{split} has {first[split]}" for split in SPLITS if split in first)
            problems.append(
                f"{dataset.root / MANIFEST_NAME}: subject '{subject}' is on several splits: {where}"
            )
    return problems


def _near_duplicates(rows: list[Row], hashes: list[Array], max_distance: int) -> list[NearDuplicate]:
    """The pairs on different splits, the closest first."""
    if not hashes:
        return []
    pairs = near_pairs(hashes, max_distance)
    found = []
    for first, second, distance in zip(pairs.first, pairs.second, pairs.distance, strict=True):
        if rows[first].split != rows[second].split:
            ordered = sorted((rows[first], rows[second]), key=lambda row: SPLITS.index(row.split))
            found.append(NearDuplicate(ordered[0], ordered[1], int(distance)))
    return sorted(found, key=lambda pair: pair.distance)


def check_dataset(
    dataset: PreparedDataset,
    near_duplicate_distance: int = DEFAULT_DISTANCE,
    progress: Callable[[int], None] = lambda done: None,
) -> CheckReport:
    """Opens every file and applies every rule of the prepared form.

    Checked: files decode, sizes match, pixel values are class indices, labels are known, every image has a
    label or a mask, no image is listed twice, no subject is on two splits. Near-duplicates on two splits are
    reported apart.

    Args:
        dataset: the data set.
        near_duplicate_distance: largest number of differing bits, 0 to 256, between the hashes of
            near-duplicates.
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
    return CheckReport(
        _counts(dataset),
        {s: len({row.subject for row in dataset.rows if row.split == s}) for s in SPLITS},
        _shares(dataset, pixels),
        problems + _divided_subjects(dataset),
        _near_duplicates(hashed_rows, hashes, near_duplicate_distance),
        _notes(dataset),
    )


def _notes(dataset: PreparedDataset) -> list[str]:
    missing = [name for name in SPLITS if not any(row.split == name for row in dataset.rows)]
    if not missing:
        return []
    use = "measuring" if {"train", "val"} & set(missing) else "training"
    return [f"no image is on {' or '.join(missing)}: the data set is for {use} alone"]


def _counts(dataset: PreparedDataset) -> dict[tuple[str, str], tuple[int, int]]:
    images = Counter((row.split, row.label) for row in dataset.rows)
    masks = Counter((row.split, row.label) for row in dataset.rows if row.mask)
    return {key: (count, masks[key]) for key, count in images.items()}


def _shares(dataset: PreparedDataset, pixels: Counter[int]) -> dict[str, float]:
    total = max(sum(pixels.values()), 1)
    return {name: pixels[index] / total for index, name in enumerate(dataset.info.pixel_classes)}
