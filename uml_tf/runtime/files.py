"""Reading and writing files with one-line errors. What is written appears whole or not at all.

A file is written under a temporary name in the same folder and then renamed. Where a function alone needs a
module, it imports it, because the commands of a device start for every image.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from uml_tf.runtime.errors import UmlError


def sync(path: Path) -> None:
    """Waits until a file or folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def replacing(path: Path, durable: bool = False) -> Iterator[Path]:
    """Yields a temporary path beside ``path`` (same suffix); renames it over ``path`` on success.

    Args:
        path: the file.
        durable: whether to wait until it is on the disk, so that a power cut does not take it back.

    Raises:
        UmlError: the folder cannot be written to, or the disk is full.
    """
    import tempfile

    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        temporary.chmod(0o644)
        _put(temporary, path, durable)
    except OSError as error:
        raise _not_written(path, error) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _put(temporary: Path, path: Path, durable: bool) -> None:
    """Renames a file that is complete."""
    if durable:
        sync(temporary)
    temporary.replace(path)
    if durable and os.name == "posix":  # elsewhere a folder cannot be opened
        sync(path.parent)


def _not_written(path: Path, error: OSError) -> UmlError:
    return UmlError(f"{path}: cannot be written ({error.strerror or error})")


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yields a temporary folder beside ``path`` and renames it to ``path`` on success.

    Raises:
        UmlError: ``path`` exists and is not an empty folder, or the parent folder cannot be written to.
    """
    import shutil
    import tempfile

    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UmlError(f"{path}: exists already, expected a new or empty folder")
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
        temporary.chmod(0o755)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise _not_written(path, error) from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def read_bytes(path: Path) -> bytes:
    """The content of a file.

    Raises:
        UmlError: the file is missing, is a directory or cannot be read.
    """
    if path.is_dir():
        raise UmlError(f"{path}: found a directory, expected a file")
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise UmlError(f"{path}: no such file") from None
    except OSError as error:
        raise UmlError(f"{path}: cannot be read ({error.strerror or error})") from error


def read_text(path: Path) -> str:
    """The content of a UTF-8 text file.

    Raises:
        UmlError: the file is missing, cannot be read or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UmlError(f"{path}: cannot be read ({error})") from error


def remove(path: Path) -> None:
    """Removes a file, if it is there.

    Raises:
        UmlError: it cannot be removed.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise UmlError(f"{path}: cannot be removed ({error.strerror or error})") from error


def write_bytes(path: Path, content: bytes, durable: bool = False) -> None:
    """Writes a file atomically; as ``replacing``, with fewer calls of the system."""
    temporary = path.with_name(f".{path.stem}-{os.urandom(4).hex()}{path.suffix}")
    try:
        try:
            with _new_file(temporary) as file:
                file.write(content)
            temporary.chmod(0o644)
            _put(temporary, path, durable)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise _not_written(path, error) from error


def _new_file(path: Path) -> BinaryIO:
    """Opens a file that is not there yet; its folder is made where it is missing."""
    try:
        return path.open("xb")
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("xb")


def write_text(path: Path, text: str, durable: bool = False) -> None:
    """Writes UTF-8 text atomically; see ``replacing``."""
    write_bytes(path, text.encode(), durable)


def write_json(path: Path, value: Any, durable: bool = False) -> None:
    """Writes indented JSON atomically; see ``replacing``. NaN raises ValueError, because JSON has no NaN."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n", durable)
