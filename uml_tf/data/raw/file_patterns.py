"""Patterns of file names: which images there are, and which files belong to one of them."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import cached_property
from glob import escape
from os.path import normpath
from pathlib import Path

from uml_tf.formats.detection import is_picture
from uml_tf.runtime.errors import UmlError

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_WILDCARD = re.compile(r"[*?\[]")
PLACEHOLDERS = ("stem", "name", "folder")


def find_images(raw: Path, patterns: str) -> list[Path]:
    """The images of a raw folder, in the order of their paths.

    Args:
        raw: the folder.
        patterns: glob patterns relative to it, with commas between; ``**`` is any depth.

    Raises:
        UmlError: the folder is missing, or no image matches.
    """
    if not raw.is_dir():
        raise UmlError(f"{raw}: no such folder, expected a folder of images")
    try:
        found = {
            path
            for pattern in patterns.split(",")
            for path in raw.glob(pattern.strip())
            if path.is_file()
            and is_picture(path)
            and not any(part.startswith(".") for part in path.relative_to(raw).parts)
        }
    except (ValueError, NotImplementedError) as error:
        raise UmlError(f"--images: found '{patterns}', expected a pattern inside RAW ({error})") from error
    if not found:
        raise UmlError(f"--images: found no image that matches '{patterns}' in {raw}")
    return sorted(found)


class FilePattern:
    """A pattern for the files that belong to an image.

    It is relative to the folder of the image, or with a slash at its start to the raw folder. ``{stem}`` is
    the image's name without its suffix, ``{name}`` with it, ``{folder}`` the name of its folder; ``*`` stands
    for any characters, ``?`` for one.

    Example:
        >>> FilePattern("../masks/{stem}*.png", raw).matches(raw / "images/a.jpg")

    Args:
        text: the pattern.
        raw: the raw folder.
        option: that it was given by, for messages.

    Raises:
        UmlError: a placeholder is unknown.
    """

    def __init__(self, text: str, raw: Path, option: str = "--masks") -> None:
        for name in _PLACEHOLDER.findall(text):
            if name not in PLACEHOLDERS:
                known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
                raise UmlError(f"{option}: found {{{name}}} in '{text}', expected one of {known}")
        self.text = text
        self._raw = raw
        self._listings: dict[str, _Listing] = {}

    def expand(self, image: Path) -> Path:
        """The path, or glob pattern, of an image's files; what the image's name holds is taken literally."""
        values = {"stem": image.stem, "name": image.name, "folder": image.parent.name}
        text = _PLACEHOLDER.sub(lambda found: escape(values[found[1]]), self.text)
        base = self._raw if text.startswith("/") else image.parent
        # The file system is not asked: a folder that is a link would lead elsewhere.
        return Path(normpath(Path(escape(str(base))) / text.lstrip("/")))

    def matches(self, image: Path) -> list[Path]:
        """The files of an image that exist, sorted."""
        pattern = self.expand(image)
        folder = str(pattern.parent)
        if folder not in self._listings:
            self._listings[folder] = _Listing(folder)
        return self._listings[folder].matches(pattern.name)


def _literal(pattern: str) -> str:
    """What ``escape`` was applied to; only for a pattern without other wildcards."""
    return re.sub(r"\[([*?\[])\]", r"\1", pattern)


def _literal_start(pattern: str) -> str:
    """The characters before the first wildcard, escaped ones among them."""
    start = re.match(r"(?:\[[*?\[]\]|[^*?\[])*", pattern)
    return _literal(start[0] if start else "")


class _Listing:
    """The files of the folders that a pattern names, each listed once."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    @cached_property
    def _folders(self) -> list[Path]:
        literal = _literal_start(self._folder)
        if literal == _literal(self._folder):
            return [Path(literal)]
        fixed = Path(literal[: literal.rfind("/") + 1])
        return sorted(
            path for path in fixed.glob(self._folder[len(escape(str(fixed))) + 1 :]) if path.is_dir()
        )

    @cached_property
    def _names(self) -> list[tuple[Path, list[str]]]:
        return [
            (folder, sorted(path.name for path in folder.iterdir() if path.is_file()))
            for folder in self._folders
            if folder.is_dir()
        ]

    def matches(self, pattern: str) -> list[Path]:
        start = _literal_start(pattern)
        found = []
        for folder, names in self._names:
            # The names that begin alike lie together, so that a large folder is not searched for every image.
            for name in names[bisect_left(names, start) :]:
                if not name.startswith(start):
                    break
                if fnmatchcase(name, pattern):
                    found.append(folder / name)
        return sorted(found)


def owners(images: Sequence[Path], patterns: Sequence[FilePattern]) -> dict[Path, list[Path]]:
    """File -> the images that it belongs to by some patterns."""
    found: dict[Path, list[Path]] = {}
    for image in images:
        for path in {path for pattern in patterns for path in pattern.matches(image)}:
            found.setdefault(path, []).append(image)
    return found
