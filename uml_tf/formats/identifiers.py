"""Keeping the patients' names out of all that is written or printed about DICOM files.

Their headers hold names, and so do, often, the names of files and folders.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from uml_tf.formats.detection import is_dicom, is_nifti
from uml_tf.formats.dicom import DicomPicture
from uml_tf.formats.selection import WHOLE, Selection
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.picture import Picture

_DIGITS = 12


def content_alias(data: bytes) -> str:
    """A name made of a file's content: only who has the file can tell which it is."""
    return f"dicom_{hashlib.sha256(data).hexdigest()[:_DIGITS]}"


def file_alias(path: Path, number: int) -> str:
    """``content_alias`` of a file; of one that cannot be read, its ``number``."""
    try:
        return content_alias(path.read_bytes())
    except OSError:
        return f"image_{number}"


def _alias(path: Path, number: int, selection: Selection, keep: bool) -> str | None:
    if is_nifti(path):
        name = path.name[: path.name.lower().index(".nii")]
        chosen = "" if selection.slice is None else f"_{selection.axis}{selection.slice}"
    elif is_dicom(path):
        name, chosen = path.stem if keep else file_alias(path, number), ""
        if keep and selection.frame is None:
            return None
    else:
        return None
    return f"{name}{chosen}" if selection.frame is None else f"{name}{chosen}_frame{selection.frame}"


def aliases(images: Sequence[Path], selection: Selection = WHOLE, keep: bool = False) -> dict[Path, str]:
    """Image -> what stands for its name: of DICOM files one without a patient's name.

    Args:
        images: the files.
        selection: the frame or slice becomes part of the alias, so that each has files of its own.
        keep: keep the names of DICOM files.
    """
    found = {path: _alias(path, number, selection, keep) for number, path in enumerate(images, start=1)}
    return {path: alias for path, alias in found.items() if alias is not None}


def check_burned_in(picture: Picture, name: str) -> None:
    """Refuses a DICOM picture that states that identifiers are drawn into its pixels.

    Args:
        picture: any; others than DICOM pass.
        name: for the message.

    Raises:
        UmlError: it states that.
    """
    if not isinstance(picture, DicomPicture):
        return
    if str(picture.header.get("BurnedInAnnotation", "")).upper() == "YES":
        raise UmlError(
            f"{name}: Burned In Annotation (0028,0301): found YES, the picture may show the patient's name; "
            "expected a cleaned file, or --keep-identifiers"
        )


class Scrubber:
    """Puts aliases in place of the names of the DICOM files of a folder, in lines about them.

    Args:
        raw: the folder; None for none.
    """

    def __init__(self, raw: Path | None) -> None:
        self._raw = raw

    @cached_property
    def _files(self) -> list[Path]:
        if self._raw is None or not self._raw.is_dir():
            return []
        return sorted(path for path in self._raw.rglob("*") if path.is_file() and is_dicom(path))

    def __call__(self, line: str) -> str:
        """The line without the files' names."""
        for number, path in enumerate(self._files, start=1):
            if path.stem not in line:
                continue
            assert self._raw is not None, "it has files"
            alias = file_alias(path, number)
            inside = path.relative_to(self._raw)
            # The longest first: what is left of a path is found in the next.
            for text in (str(path), str(path.with_suffix("")), str(inside), str(inside.with_suffix(""))):
                line = line.replace(text, alias)
            line = line.replace(path.name, alias).replace(path.stem, alias)
        return line
