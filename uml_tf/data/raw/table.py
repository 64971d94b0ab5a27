"""Tables of labels, as CSV files with any of the usual separators, and finding the row of an image."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from uml_tf.formats.detection import DICOM_SUFFIXES, NIFTI_SUFFIXES
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.files import read_bytes
from uml_tf.runtime.images import IMAGE_SUFFIXES

_SUFFIXES = (*IMAGE_SUFFIXES, *DICOM_SUFFIXES, *NIFTI_SUFFIXES)

_SEPARATORS = ",;\t|"
_EXCEL = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")

Record = Mapping[str, str]


@dataclass(frozen=True)
class Table:
    """A table that was read.

    Attributes:
        path: of the file, for messages.
        columns: their names, in file order.
        records: column -> value of each row, without surrounding spaces.
    """

    path: Path
    columns: tuple[str, ...]
    records: tuple[Record, ...]

    def check_columns(self, columns: Iterable[str], option: str = "columns") -> None:
        """Refuses a table without some columns.

        Args:
            columns: that are needed.
            option: that names them, for the message.

        Raises:
            UmlError: one is missing.
        """
        for column in columns:
            if column not in self.columns:
                found = ", ".join(self.columns)
                raise UmlError(f"{self.path}: {option}: found no column '{column}', expected one of {found}")


def read_table(path: Path, columns: Sequence[str] = ()) -> Table:
    """Reads a CSV file; the separator (comma, semicolon, tab or bar) is the one that the first line has most.

    Args:
        path: the file.
        columns: that it must have.

    Raises:
        UmlError: it is missing, is an Excel file, has no row, or lacks a column.
    """
    content = read_bytes(path)
    if content.startswith(_EXCEL):
        raise UmlError(f"{path}: found an Excel file, expected CSV; save the table as CSV first")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    first = text.partition("\n")[0]
    separator = max(_SEPARATORS, key=first.count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator)
    names = tuple((name or "").strip() for name in reader.fieldnames or ())
    reader.fieldnames = list(names)
    records = tuple({name: (record.get(name) or "").strip() for name in names} for record in reader)
    if not records:
        raise UmlError(f"{path}: found no row, expected a line of column names and a line for each image")
    table = Table(path, names, records)
    table.check_columns(columns)
    return table


def _without_suffix(name: str) -> str:
    path = PurePosixPath(name)
    if name.lower().endswith(".nii.gz"):
        return name[: -len(".nii.gz")]
    return str(path.with_suffix("")) if path.suffix.lower() in _SUFFIXES else name


def _keys(name: str) -> list[str]:
    """Ways to name an image: each end of its path, from the whole path to the name alone, first as it is and
    then without its suffix.
    """
    parts = PurePosixPath(name.replace("\\", "/")).parts
    ends = ["/".join(parts[start:]) for start in range(len(parts))]
    return list(dict.fromkeys([*ends, *map(_without_suffix, ends)]))


def records_of_images(table: Table, column: str, images: Sequence[str]) -> list[Record | None]:
    """The row of each image, or None for an image that no row names.

    A row names an image by its path, by an end of the path (the file's name alone, for instance), or by a
    path of which the image's is an end; with or without the suffix.

    Args:
        table: the table.
        column: that names the image.
        images: paths relative to the raw folder, with slashes.

    Raises:
        UmlError: a row names several images, or several rows name one.
    """
    table.check_columns([column], "--image-column")
    by_key: dict[str, list[int]] = defaultdict(list)
    for index, image in enumerate(images):
        for key in _keys(image):
            by_key[key].append(index)
    rows: list[Record | None] = [None] * len(images)
    for record in table.records:
        name = record[column]
        if not name:
            continue
        place = _image_of(name, by_key, images, table.path)
        if place is None:
            continue
        if rows[place] is not None and rows[place] != record:
            raise UmlError(f"{table.path}: found two rows that name {images[place]}, expected one")
        rows[place] = record
    return rows


def _image_of(name: str, by_key: Mapping[str, list[int]], images: Sequence[str], path: Path) -> int | None:
    keys = _keys(name)
    whole = {keys[0], _without_suffix(keys[0])}
    for key in keys:
        found = by_key.get(key, [])
        # A longer path in the table than in the folder: its end must be the image's whole path.
        if key not in whole:
            found = [index for index in found if key in (images[index], _without_suffix(images[index]))]
        if len(found) > 1:
            listed = ", ".join(images[index] for index in found[:3])
            raise UmlError(f"{path}: found '{name}' for {len(found)} images ({listed}), expected a path")
        if found:
            return found[0]
    return None
