"""The part that all converters share: read and check the cases, group, split and write them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from uml_tf.data.case_files import CaseReader, ReadCase, named, remove_unnamed
from uml_tf.data.converter import ColumnOptions, Converter, ConvertOptions, RawDataset, RawOptions
from uml_tf.data.dataset import DatasetInfo, PreparedDataset, Row, write_dataset
from uml_tf.data.manifest_rows import KnownCase, manifest_rows
from uml_tf.data.manifest_values import spacing_text
from uml_tf.data.parallel import in_order
from uml_tf.formats.identifiers import Scrubber
from uml_tf.formats.reading import FileReading
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.files import new_folder

Stage = Callable[[str, int], Callable[[int], None]]
"""Begins a stage of so many steps; returns a callable that takes the number of steps done."""


def safe_name(name: str, taken: set[str]) -> str:
    """A file name that every file system takes, and that is not taken; it is taken then."""
    plain = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_") or "image"
    free, number = plain, 1
    while free.lower() in taken:
        number += 1
        free = f"{plain}_{number}"
    taken.add(free.lower())
    return free


def _distance(options: ConvertOptions) -> int | None:
    return options.near_duplicate_distance if isinstance(options, RawOptions) else None


class _Reading:
    """The cases of a raw data set, one after the other.

    Attributes:
        cases: those that were read, as far as they are known.
        items: the converter's item of each of them.
        problems: a line for everything that was left out.
        reading: how files are read.
    """

    def __init__(self, converter: Converter, raw: Path | None, options: ConvertOptions) -> None:
        # A converter without a raw folder draws its images: what does not fit there is a fault, not a
        # damaged file.
        self._strict = options.strict if isinstance(options, RawOptions) else True
        self._converter, self._raw = converter, raw
        self._signed = _distance(options) is not None
        self._columns = options.further_columns if isinstance(options, ColumnOptions) else ()
        self.reading = options.reading() if isinstance(options, RawOptions) else FileReading()
        self._scrub = Scrubber(None if self.reading.keep_identifiers else raw)
        self._patients: dict[str, str] = {}
        self._spacings: set[tuple[float, float] | None] = set()
        self._mapped = False
        try:
            self.found: RawDataset = converter.find(raw, options)
        except UmlError as error:
            raise UmlError(self._scrub(str(error))) from error
        self.cases: list[KnownCase] = []
        self.items: list[object] = []
        self.problems: list[str] = []

    @property
    def info(self) -> DatasetInfo:
        """Of the prepared data set: with what the files themselves tell, once all are read."""
        info = self.found.info
        if info.spacing is None and len(self._spacings) == 1:
            info = info.model_copy(update={"spacing": next(iter(self._spacings))})
        if self._mapped:
            info = info.model_copy(update={"intensity": self.reading.intensity})
        return info

    @property
    def known(self) -> list[KnownCase]:
        """The cases, with a spacing of their own only where all have one and they differ."""
        if self.info.spacing is None and None not in self._spacings:
            return self.cases
        return [replace(case, spacing="") for case in self.cases]

    @property
    def notes(self) -> tuple[str, ...]:
        """Of the converter, without names of patients."""
        return tuple(self._scrub(note) for note in self.found.notes)

    def _subject(self, read: ReadCase) -> str:
        """The patient of a case; of a DICOM file a number, unless identifiers are kept."""
        assert read.known is not None, "it was read"
        if not read.known.subject or not read.identified:
            return read.known.subject
        return self._patients.setdefault(read.known.subject, f"patient_{len(self._patients) + 1:04d}")

    def _leave_out(self, line: str) -> None:
        line = self._scrub(line)
        if self._strict:
            raise UmlError(line)
        self.problems.append(f"{line}; left out")

    def each(self, stage: Stage, folder: Path | None = None) -> Iterator[ReadCase]:
        """Yields every case that fits, in the order of the items.

        Args:
            stage: begins the progress display.
            folder: in which the files are written; None to write none.

        Raises:
            UmlError: none fits, or (``strict``) one does not.
        """
        items = self.found.items
        done = stage(self._converter.stage, len(items))
        taken: set[str] = set()
        # Without its items, which would go to the other processes again and again.
        raw = replace(self.found, items=())
        reader = CaseReader(raw, self.reading, folder, self._signed, self._columns)
        for number, read in enumerate(in_order(reader, list(enumerate(items)))):
            for problem in read.problems:
                self._leave_out(problem)
            if read.known is not None:
                known = replace(read.known, subject=self._subject(read), spacing=spacing_text(read.spacing))
                self._spacings.add(read.spacing)
                self._mapped |= read.mapped
                yield read
                self.cases.append(named(known, safe_name(read.name, taken), folder))
                self.items.append(items[number])
            done(number + 1)
        if not self.cases:
            raise UmlError(f"{self._raw}: none of {len(items)} images fits; the first: {self.problems[0]}")


def _no_stage(name: str, total: int) -> Callable[[int], None]:
    return lambda done: None


def convert(
    converter: Converter,
    raw: Path | None,
    out: Path,
    options: ConvertOptions,
    stage: Stage = _no_stage,
) -> tuple[PreparedDataset, list[str]]:
    """Writes the prepared form of a raw data set, as a whole or not at all.

    Args:
        converter: one of ``CONVERTERS``.
        raw: the raw folder; None for a converter that takes none.
        out: the new folder.
        options: of the converter's own model.
        stage: begins the progress display.

    Returns:
        The data set, and a line for each file that was left out.

    Raises:
        UmlError: the raw folder is not of the format, holds nothing that fits, or (``strict``) anything that
            does not fit; or ``out`` exists or cannot be written.
    """
    reading = _Reading(converter, raw, options)
    with new_folder(out) as folder:
        for _ in reading.each(stage, folder):
            pass
        remove_unnamed(folder)
        write_dataset(folder, reading.info, manifest_rows(reading.known, options, _distance(options)))
    return PreparedDataset.open(out), reading.problems


@dataclass(frozen=True)
class DryRun:
    """What a conversion would write.

    Attributes:
        found: the raw data set, by which a case can be read again.
        rows: of the manifest.
        items: the converter's item of each row.
        pixels: of each row, pixel value of the mask -> number of pixels; empty without a mask.
        problems: a line for each file that would be left out.
        info: the content of the ``dataset.yaml``.
        reading: how files are read.
        notes: a line for each thing that is no fault.
    """

    found: RawDataset
    rows: tuple[Row, ...]
    items: tuple[object, ...]
    pixels: tuple[Counter[int], ...]
    problems: list[str]
    info: DatasetInfo
    reading: FileReading
    notes: tuple[str, ...]


def dry_run(
    converter: Converter, raw: Path | None, options: ConvertOptions, stage: Stage = _no_stage
) -> DryRun:
    """Reads, checks and splits a raw data set as ``convert`` does, and writes nothing.

    Raises:
        UmlError: as ``convert``.
    """
    reading = _Reading(converter, raw, options)
    pixels = []
    for read in reading.each(stage):
        pixels.append(read.pixels or Counter[int]())
    rows = manifest_rows(reading.known, options, _distance(options))
    return DryRun(
        reading.found,
        tuple(rows),
        tuple(reading.items),
        tuple(pixels),
        reading.problems,
        reading.info,
        reading.reading,
        reading.notes,
    )
