"""What is known of each image besides its pixels: label, subject, split; from folders, names or a table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from uml_tf.data.raw.table import Record
from uml_tf.data.raw.values import LabelNames
from uml_tf.runtime.errors import UmlError

_SPLITS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}
SPLIT_NAMES = "train, val or test"


def split_name(value: str) -> str:
    """The split of a published name, such as "Training" or "valid"; "" for any other."""
    return _SPLITS.get(value.strip().lower(), "")


def labels_of_folders(images: Sequence[str], names: LabelNames | None) -> list[str]:
    """The label of each image by its folder.

    Args:
        images: paths relative to the raw folder.
        names: of the classes. Known: the nearest folder above the image that is a class; None: the image's
            folder itself.

    Returns:
        Labels; the folder's name where it is no class, and "" for an image in no folder.
    """
    labels = []
    for image in images:
        folders = PurePosixPath(image).parts[-2::-1]
        if names is None:
            labels.append(folders[0] if folders else "")
            continue
        found = [names.name(folder) for folder in folders]
        known = [name for name in found if name in names.names]
        labels.append(next(iter(known or found), ""))
    return labels


def label_of_record(record: Record, columns: Sequence[str], otherwise: str) -> str:
    """The label of a table's row.

    Args:
        record: the row.
        columns: one, whose value is the label; or several, of which one holds 1 and is the label.
        otherwise: the label where none of several columns holds 1, or "".

    Raises:
        UmlError: several columns hold 1, or one holds no number.
    """
    if len(columns) == 1:
        return record[columns[0]]
    try:
        chosen = [column for column in columns if float(record[column] or 0) == 1]
    except ValueError:
        found = ", ".join(f"{column} '{record[column]}'" for column in columns)
        raise UmlError(f"label: found {found}, expected 0 or 1 in each column") from None
    if len(chosen) > 1:
        raise UmlError(f"label: found 1 in {' and '.join(chosen)}, expected it in one column")
    return chosen[0] if chosen else otherwise


def compile_pattern(pattern: str, option: str) -> re.Pattern[str]:
    """A regular expression that a user gave.

    Raises:
        UmlError: it is none.
    """
    try:
        return re.compile(pattern)
    except re.error as error:
        raise UmlError(f"{option}: found '{pattern}', expected a regular expression ({error})") from error


def part_of_path(image: str, pattern: re.Pattern[str]) -> str:
    """The first group of a pattern in an image's path, or the whole match; "" without one."""
    found = pattern.search(image)
    if not found:
        return ""
    return (found[1] if pattern.groups else found[0]) or ""


def split_of_folders(image: str) -> str:
    """The split of an image by a folder above it, e.g. "train/benign/1.png"; "" where none is named so."""
    return next(filter(None, map(split_name, PurePosixPath(image).parts[-2::-1])), "")
