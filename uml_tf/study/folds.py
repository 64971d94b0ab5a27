"""Cross-validation: a prepared data set divided anew, as a prepared data set for each fold.

A fold is a folder with its own ``manifest.csv`` and links to the folders of the data set's images. So
everything that opens a data set opens a fold, with its own fingerprint, and no image is copied.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock

from uml_tf.data.dataset import MANIFEST_NAME, SPLITS, YAML_NAME, PreparedDataset, Row
from uml_tf.data.splits import stratified_group_split
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.files import new_folder, read_text


@dataclass(frozen=True)
class Division:
    """How a data set is divided into folds.

    Attributes:
        folds: number of parts, at least 2.
        seed: of the division.
        validation_share: share of the images outside the test part that are the validation split, in (0, 1).
    """

    folds: int
    seed: int
    validation_share: float


def subject_of(row: Row) -> str:
    """Equal for the images of one subject; an image without a subject is a subject of its own."""
    return f"subject {row.subject}" if row.subject else f"image {row.image}"


def stratum_of(row: Row) -> str:
    """As the converters stratify, and by source in a merged data set."""
    return f"{row.label} {'mask' if row.mask else 'label only'} {row.dataset}"


def divide(rows: Sequence[Row], division: Division) -> list[list[str]]:
    """For each fold the split of every row: "train", "val" or "test".

    Every subject is in the test split of exactly one fold (scikit-learn's ``StratifiedGroupKFold`` by
    subject, stratified by label, by whether there is a mask, and by source), and in one split alone of each
    fold.

    Args:
        rows: of the data set, whatever their split.
        division: how.

    Raises:
        UmlError: there are too few subjects.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    subjects, strata = [subject_of(row) for row in rows], [stratum_of(row) for row in rows]
    found = len(set(subjects))
    # In every fold at least one subject is trained on and one is validated on.
    needed = max(division.folds, 3)
    if found < needed or len(rows) < needed:
        raise UmlError(
            f"folds: found {found} subjects for {division.folds} folds, expected at least {needed}"
        )
    splitter = StratifiedGroupKFold(division.folds, shuffle=True, random_state=division.seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a stratum that has fewer images than there are folds
        try:
            parts = list(splitter.split(np.zeros(len(rows)), strata, subjects))
        except ValueError as error:
            most = max(Counter(strata).values())
            raise UmlError(
                f"folds: found {division.folds} folds and at most {most} images of one label, "
                "expected at most that many folds"
            ) from error
    return [_fold(strata, subjects, outside, division) for outside, _ in parts]


def _fold(
    strata: Sequence[str], subjects: Sequence[str], outside: Sequence[int], division: Division
) -> list[str]:
    splits = ["test"] * len(strata)
    share = division.validation_share
    chosen = stratified_group_split(
        [strata[i] for i in outside], [subjects[i] for i in outside], (1 - share, share, 0.0), division.seed
    )
    for place, split in zip(outside, chosen, strict=True):
        splits[place] = split
    return splits


def _manifest(text: str, splits: Sequence[str]) -> str:
    """A manifest with other splits, without the rows whose split is ""; other columns stay as they are."""
    reader = csv.DictReader(io.StringIO(text))
    buffer = io.StringIO()
    writer = csv.DictWriter(
        buffer, reader.fieldnames or (), extrasaction="ignore", restval="", lineterminator="\n"
    )
    writer.writeheader()
    chosen = zip(reader, splits, strict=True)
    writer.writerows({**record, "split": split} for record, split in chosen if split)
    return buffer.getvalue()


def _linked(dataset: PreparedDataset) -> list[Path]:
    """Everything in the data set's folder but its two text files and what is hidden."""
    own = (YAML_NAME, MANIFEST_NAME)
    return [path for path in sorted(dataset.root.iterdir()) if path.name not in own and path.name[0] != "."]


def _write(folder: Path, dataset: PreparedDataset, info: str, manifest: str) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f".{folder.name}.lock")):
        if folder.exists():
            return
        with new_folder(folder) as temporary:
            (temporary / YAML_NAME).write_text(info, encoding="utf-8")
            (temporary / MANIFEST_NAME).write_text(manifest, encoding="utf-8")
            for path in _linked(dataset):
                (temporary / path.name).symlink_to(path.resolve())


def divided_anew(dataset: PreparedDataset, splits: Sequence[str], parent: Path, part: str) -> PreparedDataset:
    """A data set's images with other splits, in a folder of its own, which is written where there is none.

    Args:
        dataset: the data set.
        splits: of each row; "" for one that is left out.
        parent: of the folder, whose name follows from its content.
        part: a word for the folder's name.

    Raises:
        UmlError: the folder cannot be written.
    """
    info = read_text(dataset.root / YAML_NAME)
    manifest = _manifest(read_text(dataset.root / MANIFEST_NAME), splits)
    content = "\n".join((str(dataset.root.resolve()), info, manifest))
    digest = hashlib.sha256(content.encode()).hexdigest()[:12]
    name = re.sub(r"[^\w.-]+", "-", dataset.info.name)
    folder = parent / f"{name}-{part}-{digest}"
    try:
        _write(folder, dataset, info, manifest)
    except OSError as error:
        raise UmlError(f"{folder}: cannot be written ({error.strerror or error})") from error
    return PreparedDataset.open(folder)


def fold_datasets(dataset: PreparedDataset, division: Division, parent: Path) -> list[PreparedDataset]:
    """The folds of a data set, each in a folder of its own.

    Args:
        dataset: the data set.
        division: how it is divided.
        parent: the folder of all folds; see ``divided_anew``.

    Raises:
        UmlError: there are too few subjects, a split of a fold is empty, or a folder cannot be written.
    """
    found = []
    for number, splits in enumerate(divide(dataset.rows, division), start=1):
        for split in SPLITS:
            if split not in splits:
                raise UmlError(
                    f"{dataset.root}: fold {number} of {division.folds}: found no image for its split "
                    f"'{split}', expected at least one"
                )
        found.append(divided_anew(dataset, splits, parent, f"fold{number}of{division.folds}"))
    return found
