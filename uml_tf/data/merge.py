"""Several prepared data sets as one, such as a source with masks and a source with labels alone."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from uml_tf.data.conversion import safe_name
from uml_tf.data.dataset import DatasetInfo, PreparedDataset, Row, write_dataset
from uml_tf.data.manifest_values import grades_text, spacing_text
from uml_tf.data.masks import read_mask
from uml_tf.data.merged_info import merged_info, pixel_map
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.files import new_folder, read_bytes
from uml_tf.runtime.images import Array, write_png
from uml_tf.runtime.regions import UNKNOWN_PIXEL, class_is_known


@dataclass
class _Merging:
    """The state while the sources are written, one after the other.

    Attributes:
        folder: that is written to.
        info: of the merged data set.
        rows: that were written.
        notes: a line for each thing that the merged set does not have.
        names: file names that are taken.
        sources: names of data sets that are taken.
        copies: hash of an image's file -> its first row.
        spaced: whether every source says the size of its pixels.
    """

    folder: Path
    info: DatasetInfo
    spaced: bool = False
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    sources: set[str] = field(default_factory=set)
    copies: dict[str, Row] = field(default_factory=dict)

    def _source_names(self, dataset: PreparedDataset) -> dict[str, str]:
        """Name of a source inside a data set ("" for the set itself) -> its name in the merged set."""
        names = {}
        for inside in sorted({row.dataset for row in dataset.rows}):
            plain = inside or dataset.info.name
            free, number = plain, 1
            while free in self.sources:
                number += 1
                free = f"{plain} {number}"
            names[inside] = free
        self.sources.update(names.values())
        return names

    def add(self, dataset: PreparedDataset, done: Callable[[int], None]) -> None:
        """Writes the rows of a source."""
        names = self._source_names(dataset)
        lookup = pixel_map(dataset.info, self.info)
        keeps_agreement = dataset.info.pixel_classes == self.info.pixel_classes
        if not keeps_agreement and any(row.agreement for row in dataset.rows):
            self.notes.append(
                f"{dataset.root}: its agreement of experts is for other pixel classes; left out"
            )
        for row in dataset.rows:
            source = names[row.dataset]
            stem = safe_name(f"{source} {Path(row.image).stem}", self.names)
            image = f"images/{stem}{Path(row.image).suffix}"
            self._copy(dataset.root / row.image, image)
            merged = Row(
                image,
                self._write_mask(dataset, row, stem, lookup),
                row.label,
                row.split,
                # A row that was merged before has its source in front of its subject already.
                f"{source}/{row.subject}" if row.subject and source != row.dataset else row.subject,
                agreement=self._write_agreement(dataset, row, stem) if keeps_agreement else "",
                dataset=source,
                grades=self._grades(dataset, row),
                spacing=self._spacing(dataset, row),
                vertical_cup_to_disc_ratio=row.vertical_cup_to_disc_ratio,
                more=row.more,
            )
            if not merged.mask and not merged.label:
                self.notes.append(f"{dataset.root / row.image}: nothing of it is known here; left out")
                (self.folder / image).unlink()
            else:
                self._compare(merged)
                self.rows.append(merged)
            done(1)

    def _spacing(self, dataset: PreparedDataset, row: Row) -> str:
        """The row's own, where the merged set has none for all."""
        if self.info.spacing is not None or not self.spaced:
            return ""
        return row.spacing or spacing_text(dataset.info.spacing)

    def _grades(self, dataset: PreparedDataset, row: Row) -> str:
        """The row's grades in the order of the merged classes, which may be another than the source's."""
        if not row.grades:
            return ""
        counts = dict(zip(dataset.info.image_classes, row.grade_counts, strict=True))
        return grades_text(counts[name] for name in self.info.image_classes)

    def _copy(self, path: Path, relative: str) -> None:
        target = self.folder / relative
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(read_bytes(path))

    def _write_mask(self, dataset: PreparedDataset, row: Row, stem: str, lookup: Array) -> str:
        """Writes the row's mask in the merged classes; "" where nothing of it is known there."""
        if not row.mask:
            return ""
        path, relative = dataset.root / row.mask, f"masks/{stem}.png"
        stored = read_mask(path)
        mask = lookup[stored]
        wrong = (stored >= len(dataset.info.pixel_classes)) & class_is_known(stored)
        if wrong.any():
            raise UmlError(f"{path}: found pixel value {stored[wrong].max()}, expected a class index")
        if (mask == UNKNOWN_PIXEL).all():
            return ""
        write_png(self.folder / relative, mask)
        return relative

    def _write_agreement(self, dataset: PreparedDataset, row: Row, stem: str) -> str:
        if not row.agreement:
            return ""
        relative = f"agreement/{stem}.png"
        self._copy(dataset.root / row.agreement, relative)
        return relative

    def _compare(self, row: Row) -> None:
        """Notes an image that is on another split already."""
        digest = hashlib.sha256((self.folder / row.image).read_bytes()).hexdigest()
        first = self.copies.setdefault(digest, row)
        if first.split != row.split:
            self.notes.append(
                f"{row.image} on {row.split} is the same file as {first.image} on {first.split}: "
                "a network would be measured on what it was trained on"
            )


def merge(
    datasets: Sequence[PreparedDataset],
    out: Path,
    name: str | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> tuple[PreparedDataset, list[str]]:
    """Writes one data set of several, as a whole or not at all.

    Splits are kept. Subjects and file names get the name of their source in front, and the column ``dataset``
    names it. Image classes must be the same; pixel classes may be a part, see ``pixel_map``.

    Args:
        datasets: at least two.
        out: the new folder.
        name: of the merged set; by default the names of the sources with " + " between.
        progress: called with the number of images that are written.

    Returns:
        The data set, and a line for each thing that it does not have, or that is doubtful.

    Raises:
        UmlError: the classes do not fit together, a file cannot be read, or ``out`` exists.
    """
    info = merged_info(datasets, name)
    total = 0

    def done(count: int) -> None:
        nonlocal total
        total += count
        progress(total)

    with new_folder(out) as folder:
        spaced = all(row.spacing or dataset.info.spacing for dataset in datasets for row in dataset.rows)
        merging = _Merging(folder, info, spaced)
        for dataset in datasets:
            merging.add(dataset, done)
        if not merging.rows:
            raise UmlError(f"{out}: found nothing that is known, expected labels or masks")
        write_dataset(folder, info, merging.rows)
    return PreparedDataset.open(out), merging.notes
