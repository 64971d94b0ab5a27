"""Keeping the patients' names out of all that is written or printed about DICOM files.

Their headers hold names, and so do, often, the names of files and folders.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from uml_tf.formats.detection import is_dicom, is_nifti
from uml_tf.formats.dicom import DicomPicture
from uml_tf.formats.selection import WHOLE, Selection
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.picture import Picture

_DIGITS = 12
_LONG = 8
"""Characters of a name that is replaced inside longer words too: a shorter one may be part of any word."""
_SHORT_NUMBER = 4
"""Digits of a name that is not replaced without its folder or suffix: it names nobody, and may be a count."""


def _names_nobody(path: Path) -> bool:
    return path.stem.isdigit() and len(path.stem) <= _SHORT_NUMBER


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
    if is_dicom(path):
        name, chosen = path.stem if keep else file_alias(path, number), ""
        if keep and selection.frame is None:
            return None
    elif is_nifti(path):
        name = path.name[: path.name.lower().index(".nii")]
        chosen = "" if selection.slice is None else f"_{selection.axis}{selection.slice}"
    else:
        return None
    return f"{name}{chosen}" if selection.frame is None else f"{name}{chosen}_frame{selection.frame}"


def aliases(images: Sequence[Path], selection: Selection = WHOLE, keep: bool = False) -> dict[Path, str]:
    """Image -> what stands for its name: of DICOM files one without a patient's name.

    The aliases of files of the same content are numbered: dicom_X, dicom_X_2. A picture whose name begins
    with that of a DICOM file beside it, such as a mask of it, is called after that one's alias.

    Args:
        images: the files.
        selection: the frame or slice becomes part of the alias, so that each has files of its own.
        keep: keep the names of DICOM files.
    """
    found = {path: _alias(path, number, selection, keep) for number, path in enumerate(images, start=1)}
    given: Counter[str] = Counter()
    numbered = {}
    for path, alias in found.items():
        if alias is None:
            continue
        given[alias] += 1
        is_copy = given[alias] > 1 and not keep and is_dicom(path)
        numbered[path] = f"{alias}_{given[alias]}" if is_copy else alias
    return numbered if keep else numbered | _called_after(numbered, images, given)


def _called_after(
    numbered: Mapping[Path, str], images: Sequence[Path], given: Counter[str]
) -> dict[Path, str]:
    """Picture -> an alias, of those whose name begins with that of a DICOM file in their folder."""
    owners = {
        (path.parent, path.stem): alias
        for path, alias in numbered.items()
        if is_dicom(path) and not _names_nobody(path)
    }
    found = {}
    for path in images:
        lengths = () if not owners or path in numbered else range(len(path.stem), 0, -1)
        ends = (end for end in lengths if (path.parent, path.stem[:end]) in owners)
        end = next(ends, None)
        if end is not None:
            alias = owners[path.parent, path.stem[:end]] + path.stem[end:]
            given[alias] += 1
            found[path] = f"{alias}_{given[alias]}" if given[alias] > 1 else alias
    return found


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

    @cached_property
    def _folders(self) -> dict[Path, str]:
        """Each folder above the files, inside the raw folder -> its alias."""
        assert self._raw is not None, "it has files"
        above = {folder for path in self._files for folder in path.relative_to(self._raw).parents}
        return {folder: f"folder_{number}" for number, folder in enumerate(sorted(above - {Path()}), start=1)}

    def _texts(self, number: int, path: Path) -> Iterator[tuple[str, str]]:
        """What may stand for a file in a line, and what is put in its place."""
        assert self._raw is not None, "it has files"
        alias = file_alias(path, number)
        inside = path.relative_to(self._raw)
        for text in (str(path), str(path.with_suffix("")), str(inside), path.name):
            yield text, alias
        if inside.parent != Path():
            yield str(inside.with_suffix("")), alias
        if not _names_nobody(path):
            yield path.stem, alias

    def __call__(self, line: str) -> str:
        """The line without the files' names."""
        texts: dict[str, str] = {}
        for number, path in enumerate(self._files, start=1):
            if path.stem in line:
                texts |= {text: alias for text, alias in self._texts(number, path) if text in line}
        if self._files:  # other files there, such as masks, keep names of their own
            folders = {f"{folder}{os.sep}": f"{alias}{os.sep}" for folder, alias in self._folders.items()}
            texts |= {text: alias for text, alias in folders.items() if text in line}
        if not texts:
            return line
        # In one pass, the longest first: no part of a longer path is replaced alone, nor any of an alias.
        longest_first = sorted(texts, key=len, reverse=True)
        return re.sub("|".join(map(_pattern, longest_first)), lambda match: texts[match[0]], line)


def _pattern(text: str) -> str:
    """A regular expression that matches a text, a short one outside longer words alone."""
    if len(Path(text).name) >= _LONG:
        return re.escape(text)
    after = "" if text.endswith(os.sep) else r"(?![^\W_])"
    return rf"(?<![^\W_]){re.escape(text)}{after}"
