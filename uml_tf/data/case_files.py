"""One case of a raw data set, from its raw files to its files of the prepared form."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from uml_tf.data.agreement import encode_agreement
from uml_tf.data.case_reading import LoadedCase, load_case
from uml_tf.data.converter import RawDataset
from uml_tf.data.counts import count_pixels
from uml_tf.data.manifest_rows import KnownCase
from uml_tf.data.near_duplicates import signature
from uml_tf.formats.dicom import DicomPicture
from uml_tf.formats.header_columns import header_columns
from uml_tf.formats.reading import FileReading
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.image_header import read_header
from uml_tf.runtime.images import write_png

_SUFFIX = {"PNG": ".png", "JPEG": ".jpg", "TIFF": ".tif", "BMP": ".bmp", "WebP": ".webp"}
_FOLDERS = ("images", "masks", "agreement")


@dataclass(frozen=True)
class ReadCase:
    """What is known of an item after its files were read.

    Attributes:
        known: the case, its files named by the item's number; None where the case as a whole does not fit.
        name: of the case, as the converter gives it.
        problems: a line for each thing that does not fit.
        pixels: pixel value of the mask -> number of pixels; None without a mask, or where files are written.
        spacing: (row, column) pixel size in millimetres that the image file tells, or None.
        mapped: whether the raw file is DICOM, NIfTI or of more than 8 bits.
        identified: whether the subject is a patient's, of a DICOM file whose identifiers are not kept.
    """

    known: KnownCase | None
    name: str
    problems: tuple[str, ...]
    pixels: Counter[int] | None = None
    spacing: tuple[float, float] | None = None
    mapped: bool = False
    identified: bool = False


@dataclass(frozen=True)
class CaseReader:
    """Reads items of a raw data set; a function of (number, item) that other processes can call.

    Attributes:
        raw: the data set.
        reading: how files are read.
        folder: of the prepared form, in which the files are written; None to write none.
        signed: whether near-duplicates will be looked for.
        columns: names of further columns of the manifest.
    """

    raw: RawDataset
    reading: FileReading
    folder: Path | None
    signed: bool
    columns: tuple[str, ...] = ()

    def __call__(self, numbered: tuple[int, object]) -> ReadCase:
        """Reads one item, and writes its files."""
        number, item = numbered
        try:
            loaded = load_case(self.raw, item, self.reading)
        except UmlError as error:
            return ReadCase(None, "", (str(error),))
        known = self._known(loaded, str(number))
        pixels = None
        if self.folder is not None:
            _write(self.folder, loaded, known)
        elif loaded.mask is not None:
            pixels = count_pixels(loaded.mask)
        return ReadCase(
            known,
            loaded.case.name,
            loaded.problems,
            pixels,
            loaded.picture.spacing,
            loaded.mapped,
            isinstance(loaded.picture, DicomPicture) and not self.reading.keep_identifiers,
        )

    def _known(self, loaded: LoadedCase, name: str) -> KnownCase:
        case = loaded.case
        header = read_header(loaded.content)
        assert header is not None, "it was decoded before"
        has_mask = loaded.mask is not None
        return KnownCase(
            image=f"images/{name}{_SUFFIX[header.format]}",
            mask=f"masks/{name}.png" if has_mask else "",
            agreement=f"agreement/{name}.png" if has_mask and case.agreement is not None else "",
            vertical_cup_to_disc_ratio=case.vertical_cup_to_disc_ratio,
            label=case.label,
            grades=case.grades,
            subject=case.subject,
            group=case.group,
            split=case.split,
            signature=signature(loaded.image) if self.signed else None,
            more=self._more(loaded),
        )

    def _more(self, loaded: LoadedCase) -> tuple[tuple[str, str], ...]:
        """The further columns: what the converter knows goes before what a DICOM header says."""
        found = dict.fromkeys(self.columns, "")
        if isinstance(loaded.picture, DicomPicture):
            found |= header_columns(loaded.picture.header, self.columns)
        found |= {name: value for name, value in loaded.case.columns.items() if value}
        return tuple(found.items())


def _unnamed(path: str) -> str:
    """Where a file lies until the name is known, which depends on the cases before: not among the names."""
    return f"new/{path}"


def _write(folder: Path, loaded: LoadedCase, known: KnownCase) -> None:
    image = folder / _unnamed(known.image)
    image.parent.mkdir(parents=True, exist_ok=True)
    image.write_bytes(loaded.content)
    if loaded.mask is not None:
        write_png(folder / _unnamed(known.mask), loaded.mask)
    if known.agreement and loaded.case.agreement is not None:
        write_png(folder / _unnamed(known.agreement), encode_agreement(loaded.case.agreement))


def named(known: KnownCase, name: str, folder: Path | None) -> KnownCase:
    """The case with its files under their final name.

    Args:
        known: with its files named by a number.
        name: the stem of the files.
        folder: in which they were written; None where none were.
    """

    def final(path: str) -> str:
        if not path:
            return ""
        new = Path(path).with_stem(name).as_posix()
        if folder is not None:
            (folder / new).parent.mkdir(exist_ok=True)
            (folder / _unnamed(path)).rename(folder / new)
        return new

    return replace(known, image=final(known.image), mask=final(known.mask), agreement=final(known.agreement))


def remove_unnamed(folder: Path) -> None:
    """Removes the empty folders in which the files were written."""
    for name in _FOLDERS:
        path = folder / _unnamed(name)
        if path.is_dir():
            path.rmdir()
    (folder / "new").rmdir()
