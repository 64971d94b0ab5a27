"""Verification of a prepared data set, before anything is trained on it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from uml_tf.data.counts import DatasetCounts, count, count_pixels
from uml_tf.data.dataset import MANIFEST_NAME, SPLITS, PreparedDataset, Row
from uml_tf.data.near_duplicates import (
    DEFAULT_DISTANCE,
    MIN_DETAIL,
    Signature,
    near_duplicates,
    signature,
)
from uml_tf.data.parallel import in_order
from uml_tf.data.reading import read_agreement, read_row
from uml_tf.runtime.errors import UmlError


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
class CheckReport(DatasetCounts):
    """What a data set holds and what is wrong with it.

    Attributes:
        problems: one line each; empty when the data set is sound.
        near_duplicates: pairs on different splits, the closest first. They may be copies, which would let a
            network be tested on what it was trained on; or different images that are framed alike.
    """

    problems: list[str]
    near_duplicates: list[NearDuplicate]


@dataclass(frozen=True)
class _Checked:
    """What was found in the files of a row.

    Attributes:
        signature: of the image; None where there is a problem.
        pixels: pixel value of the mask -> number of pixels; None without a sound mask.
        problem: the row's first problem, or "".
    """

    signature: Signature | None
    pixels: Counter[int] | None
    problem: str


def _check_row(dataset: PreparedDataset, row: Row) -> _Checked:
    pixels = None
    try:
        dataset.label_index(row)
        image, mask = read_row(dataset, row)
        if mask is not None:
            pixels = count_pixels(mask)
            read_agreement(dataset, row)
    except UmlError as error:
        return _Checked(None, pixels, str(error))
    if mask is None and not row.label:
        problem = f"{dataset.root / row.image}: found neither label nor mask, expected at least one"
        return _Checked(None, None, problem)
    return _Checked(signature(image), pixels, "")


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


def _near_duplicates(
    rows: list[Row], signatures: list[Signature], max_distance: int, min_detail: float
) -> list[NearDuplicate]:
    """The pairs on different splits, the closest first."""
    if not signatures:
        return []
    pairs = near_duplicates(signatures, max_distance, min_detail)
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
    near_duplicate_detail: float = MIN_DETAIL,
    comparing: Callable[[int], None] = lambda done: None,
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
        near_duplicate_detail: least correlation of their detail, in [-1, 1].
        comparing: called with 0 before the images are compared with each other, then with the number of rows.
    """
    problems: list[str] = []
    masks: list[Counter[int]] = []
    signatures, signed_rows = [], []
    seen: set[str] = set()
    check_row = partial(_check_row, replace(dataset, rows=()))  # which goes to other processes
    for done, (row, found) in enumerate(
        zip(dataset.rows, in_order(check_row, dataset.rows), strict=True), start=1
    ):
        if row.image in seen:
            problems.append(f"{dataset.root / MANIFEST_NAME}: image: '{row.image}' is listed twice")
        seen.add(row.image)
        if found.pixels is not None:
            masks.append(found.pixels)
        if found.signature is None:
            problems.append(found.problem)
        else:
            signatures.append(found.signature)
            signed_rows.append(row)
        progress(done)
    comparing(0)
    pairs = _near_duplicates(signed_rows, signatures, near_duplicate_distance, near_duplicate_detail)
    comparing(len(dataset.rows))
    return CheckReport(
        **vars(count(dataset.rows, masks, dataset.info)),
        problems=problems + _divided_subjects(dataset),
        near_duplicates=pairs,
    )
