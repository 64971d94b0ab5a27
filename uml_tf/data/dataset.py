"""The prepared data set: the form that the converters write and everything else reads."""

from __future__ import annotations

import csv
import hashlib
import io
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from uml_tf.data.file_digests import digests
from uml_tf.data.manifest_values import is_grades, is_ratio, parse_spacing
from uml_tf.data.validation_error import describe_validation_error
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.files import read_text, write_text
from uml_tf.runtime.intensity import Intensity
from uml_tf.runtime.regions import MOST_CLASSES

SPLITS = ("train", "val", "test")
COLUMNS = ("image", "mask", "label", "split", "subject")
RATIO = "vertical_cup_to_disc_ratio"
OPTIONAL_COLUMNS = ("agreement", "dataset", "grades", RATIO, "spacing")
_PATHS = ("image", "mask", "agreement")
YAML_NAME, MANIFEST_NAME = "dataset.yaml", "manifest.csv"


class DatasetInfo(BaseModel):
    """The content of ``dataset.yaml``.

    Attributes:
        name: the data set's name.
        image_classes: names of the image classes; a row's label is one of them.
        pixel_classes: names of the pixel classes; a mask's pixel value is their index, 0 background, or one
            of the reserved values of ``uml_tf.runtime.regions``.
        spacing: (row, column) pixel size in millimetres, if known and common to all images.
        source, licence: where the images come from and under which terms.
        unions: reported region -> the pixel classes it unites, e.g. disc: [rim, cup].
        intensity: how the grey values of raw files of more than 8 bits, and of DICOM, became 0 to 255; None
            where there were none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    image_classes: tuple[str, ...] = Field(min_length=2)
    pixel_classes: tuple[str, ...] = Field(min_length=2, max_length=MOST_CLASSES)
    spacing: tuple[float, float] | None = None
    source: str = ""
    licence: str = ""
    unions: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    intensity: Intensity | None = None

    @model_validator(mode="after")
    def _unions_are_of_pixel_classes(self) -> DatasetInfo:
        for region, parts in self.unions.items():
            for part in parts:
                if part not in self.pixel_classes:
                    known = ", ".join(self.pixel_classes)
                    raise ValueError(f"unions.{region}: found '{part}', expected pixel classes: {known}")
        return self


@dataclass(frozen=True)
class Row:
    """One line of ``manifest.csv``; paths are relative to the data set's folder.

    Attributes:
        image: path of the image.
        mask: path of the mask, or "" for an image without one.
        label: name of the image class, or "" for an image without one.
        split: "train", "val" or "test".
        subject: patient, or group of near-duplicate images; splits never divide one.
        agreement: path of the shares of several experts (see ``uml_tf.data.agreement``), or "".
        vertical_cup_to_disc_ratio: as a doctor measured it, a number in [0, 1] as text, or "".
        dataset: name of the data set that the image comes from, in a set that was merged from several; or "".
        grades: how many of several experts gave each image class, in the order of ``image_classes``, with
            spaces between; or "".
        spacing: height and width of a pixel in millimetres, with a space between, where the images of the set
            do not share them; or "".
        more: (name, value) of every other column, such as site, device, sex or age.
    """

    image: str
    mask: str
    label: str
    split: str
    subject: str
    agreement: str = ""
    dataset: str = ""
    grades: str = ""
    vertical_cup_to_disc_ratio: str = ""
    spacing: str = ""
    more: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if self.spacing:
            parse_spacing(self.spacing)

    @property
    def pixel_size(self) -> tuple[float, float] | None:
        """(row, column) pixel size in millimetres, where the row states it."""
        return parse_spacing(self.spacing) if self.spacing else None

    @property
    def ratio(self) -> float:
        """``vertical_cup_to_disc_ratio`` as a number; nan where it is not known."""
        return float(self.vertical_cup_to_disc_ratio or "nan")

    @property
    def grade_counts(self) -> tuple[int, ...]:
        """``grades`` as numbers; empty where they are not known."""
        return tuple(map(int, self.grades.split()))

    @property
    def files(self) -> tuple[str, ...]:
        """The paths of the row that are not empty: image, mask, agreement."""
        return tuple(path for path in (self.image, self.mask, self.agreement) if path)


@dataclass(frozen=True)
class PreparedDataset:
    """A folder with ``dataset.yaml``, ``manifest.csv``, images and masks.

    Attributes:
        root: the folder.
        info: the content of ``dataset.yaml``.
        rows: the manifest's lines, in file order.
    """

    root: Path
    info: DatasetInfo
    rows: tuple[Row, ...] = field(repr=False)

    @classmethod
    def open(cls, root: Path) -> PreparedDataset:
        """Reads the two files; images are not opened.

        Raises:
            UmlError: a file is missing or not of the form, naming file, field, found and expected.
        """
        info = read_info(root / YAML_NAME)
        return cls(root, info, _read_rows(root / MANIFEST_NAME, info.image_classes))

    def split(self, name: str) -> tuple[Row, ...]:
        """The rows of one split.

        Raises:
            UmlError: the split has no row.
        """
        rows = tuple(row for row in self.rows if row.split == name)
        if not rows:
            found = ", ".join(sorted({row.split for row in self.rows})) or "no rows"
            raise UmlError(f"{self.root / MANIFEST_NAME}: split '{name}' has no image, found {found}")
        return rows

    def label_index(self, row: Row) -> int:
        """Index of the row's label in ``info.image_classes``, or -1 without one."""
        if not row.label:
            return -1
        try:
            return self.info.image_classes.index(row.label)
        except ValueError:
            known = ", ".join(self.info.image_classes)
            raise UmlError(
                f"{self.root / MANIFEST_NAME}: {row.image}: label: found '{row.label}', "
                f"expected one of {known}"
            ) from None

    @cached_property
    def file_digests(self) -> dict[str, bytes]:
        """SHA-256 of every file of a row, by its path in the manifest."""
        return digests(self.root, self._file_paths())

    def hash_files(self, stage: Callable[[str, int], Callable[[int], None]]) -> None:
        """Computes ``file_digests``, if that was not done yet, with a stage of a progress display."""
        if "file_digests" not in vars(self):
            paths = self._file_paths()
            vars(self)["file_digests"] = digests(self.root, paths, stage("reading all files", len(paths)))

    def _file_paths(self) -> list[str]:
        return list(dict.fromkeys(relative for row in self.rows for relative in row.files))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of everything that decides a result: the two text files, and every file of a row."""
        digest = hashlib.sha256()
        for name in (YAML_NAME, MANIFEST_NAME):
            digest.update((self.root / name).read_bytes())
        for row in self.rows:
            for relative in row.files:
                digest.update(self.file_digests[relative])
        return digest.hexdigest()

    def class_counts(self, split: str) -> Counter[str]:
        """Number of images by label in one split; those without a label count under ""."""
        return Counter(row.label for row in self.rows if row.split == split)


def _text(path: Path) -> str:
    if not path.is_file():
        raise UmlError(f"{path}: no such file, expected a prepared data set (see `uml-tf data --help`)")
    return read_text(path)


def read_info(path: Path) -> DatasetInfo:
    """The content of ``dataset.yaml``; UmlError where it is missing or not of the form."""
    try:
        data = yaml.safe_load(_text(path))
    except yaml.YAMLError as error:
        raise UmlError(f"{path}: not valid YAML ({' '.join(str(error).split())})") from error
    if not isinstance(data, dict):
        raise UmlError(f"{path}: found {type(data).__name__}, expected a mapping with 'name' and classes")
    try:
        return DatasetInfo(**data)
    except (ValidationError, TypeError) as error:
        raise UmlError(f"{path}: {describe_validation_error(error)}") from error


def _read_rows(path: Path, image_classes: Sequence[str]) -> tuple[Row, ...]:
    reader = csv.DictReader(io.StringIO(_text(path)))
    found = tuple(reader.fieldnames or ())
    if set(COLUMNS) - set(found):
        missing = ", ".join(column for column in COLUMNS if column not in found)
        raise UmlError(f"{path}: columns: found {', '.join(found) or 'none'}, missing {missing}")
    rows = []
    others = [column for column in found if column and column not in (*COLUMNS, *OPTIONAL_COLUMNS)]
    for number, record in enumerate(reader, start=2):
        columns = (*COLUMNS, *(column for column in OPTIONAL_COLUMNS if column in found))
        values = {column: (record[column] or "").strip() for column in columns}
        if not values["image"]:
            raise UmlError(f"{path}: line {number}: image: found nothing, expected a path")
        if values["split"] not in SPLITS:
            raise UmlError(
                f"{path}: line {number}: split: found '{values['split']}', "
                f"expected one of {', '.join(SPLITS)}"
            )
        for column in _PATHS:
            relative = Path(values.get(column, ""))
            if relative.is_absolute() or ".." in relative.parts:
                raise UmlError(
                    f"{path}: line {number}: {column}: found '{relative}', "
                    "expected a path inside the data set's folder"
                )
        if not is_ratio(values.get(RATIO, "")):
            raise UmlError(
                f"{path}: line {number}: {RATIO}: found '{values[RATIO]}', expected a number from 0 to 1"
            )
        if not is_grades(values.get("grades", ""), len(image_classes)):
            raise UmlError(
                f"{path}: line {number}: grades: found '{values['grades']}', expected how many experts gave "
                f"each of {', '.join(image_classes)}, with spaces between"
            )
        try:
            rows.append(Row(**values, more=tuple((name, (record[name] or "").strip()) for name in others)))
        except ValueError:
            raise UmlError(
                f"{path}: line {number}: spacing: found '{values['spacing']}', expected height and width "
                "of a pixel in mm, with a space between"
            ) from None
    if not rows:
        raise UmlError(f"{path}: found no rows, expected at least one image")
    return tuple(rows)


def write_dataset(root: Path, info: DatasetInfo, rows: Iterable[Row]) -> PreparedDataset:
    """Writes ``dataset.yaml`` and then ``manifest.csv``; the files of the rows must be in the folder.

    An optional column, and any other, is written where a row has it: a set without it stays byte for byte
    what it was.
    """
    rows = list(rows)
    data = {key: value for key, value in info.model_dump(mode="json").items() if value not in (None, {}, "")}
    write_text(root / YAML_NAME, yaml.safe_dump(data, sort_keys=False, allow_unicode=True))
    buffer = io.StringIO()
    optional = [column for column in OPTIONAL_COLUMNS if any(getattr(row, column) for row in rows)]
    others = list(dict.fromkeys(name for row in rows for name, _ in row.more))
    writer = csv.DictWriter(
        buffer, [*COLUMNS, *optional, *others], restval="", extrasaction="ignore", lineterminator="\n"
    )
    writer.writeheader()
    writer.writerows(dict(row.more) | vars(row) for row in rows)
    write_text(root / MANIFEST_NAME, buffer.getvalue())
    return PreparedDataset.open(root)
