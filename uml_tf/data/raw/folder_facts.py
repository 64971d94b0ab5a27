"""Label, patient and split of each image of any folder, by the options of ``uml-tf data folder``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from uml_tf.data.raw.folder_options import FROM_FOLDER, FolderOptions
from uml_tf.data.raw.image_facts import (
    SPLIT_NAMES,
    compile_pattern,
    label_of_record,
    labels_of_folders,
    part_of_path,
    split_name,
    split_of_folders,
)
from uml_tf.data.raw.table import Record, Table, read_table, records_of_images
from uml_tf.data.raw.values import LabelNames
from uml_tf.runtime.errors import UmlError


@dataclass(frozen=True)
class FolderFacts:
    """What is known of the images, each list in their order.

    Attributes:
        labels: "" where there is none; or a problem of the image.
        subjects: "" where there is none.
        splits: published; "" where none is kept.
        problems: of single images, by place; such an image is left out.
        notes: for the dry run.
        columns: name -> value of the further columns that the table has.
    """

    labels: list[str]
    subjects: list[str]
    splits: list[str]
    problems: dict[int, str]
    notes: list[str]
    columns: list[dict[str, str]]


def existing_file(path: Path, raw: Path) -> Path:
    """A file that is named from the working folder, or else from the raw folder."""
    return path if path.exists() or not (raw / path).exists() else raw / path


def _read_rows(
    options: FolderOptions, raw: Path, names: Sequence[str], notes: list[str]
) -> tuple[Table | None, list[Record | None]]:
    """The table, and the row of each image."""
    file = options.table
    if options.labels not in (None, FROM_FOLDER):
        if file is not None:
            raise UmlError("--table: found it beside --labels FILE, expected one table")
        file = Path(str(options.labels))
    if file is None:
        for option, column in (
            ("--subject-column", options.subject_column),
            ("--keep-split", options.keep_split),
        ):
            if column not in (None, FROM_FOLDER):
                raise UmlError(
                    f"{option}: found '{column}' without a table, expected --labels FILE or --table"
                )
        return None, [None] * len(names)
    table = read_table(existing_file(file, raw))
    rows = records_of_images(table, options.image_column, names)
    found = sum(row is not None for row in rows)
    if not found:
        example = table.records[0][options.image_column]
        raise UmlError(f"{table.path}: found no row of any image, e.g. '{example}' for {names[0]}")
    if found < len(names):
        first = names[rows.index(None)]
        notes.append(f"{len(names) - found} images have no row in {table.path}, the first {first}")
    if found < len(table.records):
        notes.append(f"{len(table.records) - found} rows of {table.path} name no image")
    return table, rows


def _raw_labels(
    options: FolderOptions,
    names: Sequence[str],
    table: Table | None,
    rows: Sequence[Record | None],
    problems: dict[int, str],
) -> list[str]:
    """The label of each image as it is stored."""
    if options.label_pattern is not None:
        if options.labels is not None:
            raise UmlError("--label-pattern: found it beside --labels, expected one of the two")
        pattern = compile_pattern(options.label_pattern, "--label-pattern")
        return [part_of_path(name, pattern) for name in names]
    if options.labels is None:
        return [""] * len(names)
    if options.labels == FROM_FOLDER:
        return labels_of_folders(names, LabelNames.parse(options.classes) if options.classes else None)
    columns = [column.strip() for column in options.label_column.split(",")]
    assert table is not None, "it was read by its name in --labels"
    table.check_columns(columns, "--label-column")
    labels = []
    for place, row in enumerate(rows):
        try:
            labels.append("" if row is None else label_of_record(row, columns, options.otherwise or ""))
        except UmlError as error:
            problems[place] = f"{table.path}: {names[place]}: {error}"
            labels.append("")
    return labels


def _subjects(
    options: FolderOptions, names: Sequence[str], table: Table | None, rows: Sequence[Record | None]
) -> list[str]:
    if options.subject_column is not None and table is not None:
        if options.subject_pattern is not None:
            raise UmlError("--subject-pattern: found it beside --subject-column, expected one of the two")
        table.check_columns([options.subject_column], "--subject-column")
        return ["" if row is None else row[options.subject_column] for row in rows]
    if options.subject_pattern is None:
        return [""] * len(names)
    pattern = compile_pattern(options.subject_pattern, "--subject-pattern")
    subjects = [part_of_path(name, pattern) for name in names]
    if not any(subjects):
        raise UmlError(f"--subject-pattern: found '{options.subject_pattern}' in no path, e.g. {names[0]}")
    return subjects


def _splits(
    options: FolderOptions,
    names: Sequence[str],
    table: Table | None,
    rows: Sequence[Record | None],
    problems: dict[int, str],
) -> list[str]:
    if options.keep_split is None:
        return [""] * len(names)
    if options.keep_split == FROM_FOLDER:
        splits = [split_of_folders(name) for name in names]
    else:
        assert table is not None, "a column was refused without a table"
        table.check_columns([options.keep_split], "--keep-split")
        splits = ["" if row is None else split_name(row[options.keep_split]) for row in rows]
    for place, split in enumerate(splits):
        if not split:
            problems[place] = f"{names[place]}: split: found none, expected {SPLIT_NAMES} (--keep-split)"
    return splits


def _columns(
    options: FolderOptions, table: Table | None, rows: Sequence[Record | None]
) -> list[dict[str, str]]:
    """What the table says in the further columns; those that it lacks may be of DICOM headers."""
    wanted = options.columns_of(() if table is None else table.columns)
    return [{} if row is None else {name: row[name] for name in wanted} for row in rows]


def find_facts(options: FolderOptions, raw: Path, names: Sequence[str]) -> FolderFacts:
    """What the options tell of the images.

    Args:
        options: of the converter.
        raw: the raw folder.
        names: paths of the images relative to it, with slashes.

    Raises:
        UmlError: options contradict each other, or the table does not fit.
    """
    problems: dict[int, str] = {}
    notes: list[str] = []
    table, rows = _read_rows(options, raw, names, notes)
    labels = _raw_labels(options, names, table, rows, problems)
    if options.classes is not None:
        known = LabelNames.parse(options.classes)
        labels = [known.name(label) for label in labels]
    subjects = _subjects(options, names, table, rows)
    if any(subjects) and not all(subjects):
        missing = [name for name, subject in zip(names, subjects, strict=True) if not subject]
        notes.append(f"{len(missing)} images have no patient, the first {missing[0]}")
    splits = _splits(options, names, table, rows, problems)
    return FolderFacts(labels, subjects, splits, problems, notes, _columns(options, table, rows))
