"""Files of a published data set by the name that its images have everywhere, in whichever folder they lie."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from uml_tf.runtime.errors import UmlError


def files_by_key(raw: Path, pattern: str) -> dict[str, Path]:
    """Key -> file, for every file at any depth whose name matches.

    Args:
        raw: the folder.
        pattern: regular expression of the whole file name; its first group is the key.

    Raises:
        UmlError: the folder is missing, or two files have one key.
    """
    if not raw.is_dir():
        raise UmlError(f"{raw}: no such folder, expected the data set as published")
    compiled = re.compile(pattern)
    found: dict[str, Path] = {}
    for path in sorted(raw.rglob("*")):
        match = compiled.fullmatch(path.name)
        if match and path.is_file():
            if match[1] in found:
                raise UmlError(f"{path}: found the name of {found[match[1]]} again, expected it once")
            found[match[1]] = path
    return found


def published(splits: Iterable[str], new_split: bool) -> bool:
    """Whether published splits are kept: unless they are drawn anew, or there is one alone."""
    return not new_split and len(set(splits)) > 1
