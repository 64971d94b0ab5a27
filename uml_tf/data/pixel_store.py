"""Decoded images and masks on disk, read and written by index, by several processes at once.

A store is a folder of .npy files of a fixed number of entries, in which nothing is written yet when it is
made: files with holes, which take room on the disk as they are filled. The checksum of an entry is written
after it. An entry without one, or with another, is not there: so a process that was killed, or a disk that
lost what was written last, leaves nothing behind that would be read.

The files are read by position, not mapped: mapped pages count as the process's memory.
"""

from __future__ import annotations

import os
import shutil
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray
from pydantic import BaseModel

from uml_tf.runtime.files import new_folder, write_json

_ABOUT = "about.json"
_ARRAYS = ("images.npy", "masks.npy", "originals.npy", "checksums.npy")
NAME_LENGTH = 16
"""The name of a store's folder is so much of its key."""
_WRITTEN = 1 << 32
"""Added to the 32 bits of a checksum, so that none is 0, as the holes are."""

Array = NDArray[Any]


@dataclass(frozen=True)
class Pixels:
    """One entry.

    Attributes:
        image: ``(H, W, 3)`` uint8.
        mask: ``(H, W)`` uint8.
        original: ``(2,)`` int32, height and width of the picture that it was made from.
    """

    image: Array
    mask: Array
    original: Array

    @property
    def checksum(self) -> int:
        """CRC-32 of the three, in 33 bits."""
        value = 0
        for part in (self.image, self.mask, self.original):
            value = zlib.crc32(np.ascontiguousarray(part).data, value)
        return value | _WRITTEN


class _File:
    """The items of a .npy file, by position."""

    def __init__(self, path: Path) -> None:
        mapped = np.load(path, mmap_mode="r")
        if not isinstance(mapped, np.memmap) or not len(mapped):
            raise ValueError(f"{path}: found no array of entries")
        self.shape, self.dtype = mapped.shape[1:], mapped.dtype
        self.count, self._start = len(mapped), int(mapped.offset)
        self._bytes = mapped[:1].nbytes
        self._descriptor = os.open(path, os.O_RDWR)

    @staticmethod
    def create(path: Path, shape: tuple[int, ...], dtype: Any) -> None:
        """Writes the header; the rest is a hole."""
        np.lib.format.open_memmap(path, "w+", dtype, shape)

    def read(self, index: int) -> Array:
        content = os.pread(self._descriptor, self._bytes, self._start + index * self._bytes)
        return np.frombuffer(content, self.dtype).reshape(self.shape)

    def write(self, index: int, value: Array) -> None:
        content = np.ascontiguousarray(value, self.dtype).tobytes()
        written = os.pwrite(self._descriptor, content, self._start + index * self._bytes)
        if written != len(content):
            raise OSError("the disk is full")

    def close(self) -> None:
        os.close(self._descriptor)


class PixelStore:
    """A folder of decoded images; see the module.

    Args:
        folder: of the store, which exists.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        files = [_File(folder / name) for name in _ARRAYS]
        self._images, self._masks, self._originals, self._checksums = files
        self._verified = np.zeros(self._images.count, bool)
        (folder / _ABOUT).touch()  # by its time `uml-tf data cache --list` tells when the store was used

    @classmethod
    def open(cls, folder: Path, count: int, size: tuple[int, int], about: Mapping[str, Any]) -> PixelStore:
        """Opens a store; makes it first where it is missing, whichever process is the first.

        Args:
            folder: its name tells what is in it, of which nothing is compared.
            count: number of entries.
            size: (H, W) of these.
            about: what is told of it to the user.

        Raises:
            OSError: it cannot be read or written.
            UmlError: the same.
        """
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f".{folder.name}.lock")):
            if (folder / _ABOUT).is_file():
                try:
                    return cls(folder)
                except (ValueError, EOFError, FileNotFoundError):  # cut off by a power failure: made anew
                    pass
            shutil.rmtree(folder, ignore_errors=True)
            with new_folder(folder) as made:
                shapes = ((count, *size, 3), (count, *size), (count, 2), (count,))
                types = (np.uint8, np.uint8, np.int32, np.int64)
                for name, shape, dtype in zip(_ARRAYS, shapes, types, strict=True):
                    _File.create(made / name, shape, dtype)
                write_json(made / _ABOUT, dict(about))
            return cls(folder)

    def __len__(self) -> int:
        return self._images.count

    def has(self, index: int) -> bool:
        """Whether an entry is there; its checksum is compared once."""
        if not self._verified[index]:
            expected = int(self._checksums.read(index))
            self._verified[index] = bool(expected) and self._checksum(index) == expected
        return bool(self._verified[index])

    def _checksum(self, index: int) -> int | None:
        try:
            return Pixels(self.image(index), self.mask(index), self.original(index)).checksum
        except ValueError:  # the file was cut off
            return None

    def image(self, index: int) -> Array:
        """``(H, W, 3)`` uint8 of an entry that is there."""
        return self._images.read(index)

    def mask(self, index: int) -> Array:
        """``(H, W)`` uint8 of an entry that is there."""
        return self._masks.read(index)

    def original(self, index: int) -> Array:
        """``(2,)`` int32 of an entry that is there."""
        return self._originals.read(index)

    def put(self, index: int, pixels: Pixels) -> None:
        """Writes an entry; two processes that write the same one write the same.

        Raises:
            OSError: the disk is full, or the folder is gone.
        """
        self._images.write(index, pixels.image)
        self._masks.write(index, pixels.mask)
        self._originals.write(index, pixels.original)
        self._checksums.write(index, np.array(pixels.checksum))
        self._verified[index] = True

    def close(self) -> None:
        """Closes the files."""
        for file in (self._images, self._masks, self._originals, self._checksums):
            file.close()


class About(BaseModel):
    """What ``about.json`` of a store tells; a store of another version may tell less.

    Attributes:
        key: begins with the name of the store's folder.
        dataset: name of the data set that it was made for.
        size: (H, W).
        fit: how a picture became an input.
    """

    key: str
    dataset: str = ""
    size: tuple[int, int] | None = None
    fit: str = ""

    def __str__(self) -> str:
        size = self.size and f"{self.size[0]} x {self.size[1]}"
        return ", ".join(filter(None, (self.dataset, size, self.fit))) or "of another version"


@dataclass(frozen=True)
class StoreFacts:
    """What ``uml-tf data cache --list`` says of a store.

    Attributes:
        folder: of the store.
        about: what it says of itself.
        filled: number of entries that are written.
        count: number of entries.
        bytes: that it takes on the disk.
        used: seconds since 1970 when it was last opened.
    """

    folder: Path
    about: About
    filled: int
    count: int
    bytes: int
    used: float

    @property
    def days(self) -> float:
        """Days since it was last opened."""
        return (time.time() - self.used) / 86400


def _about(folder: Path) -> About:
    """What a store says of itself.

    Raises:
        OSError: this is no store, or it cannot be read.
        ValueError: the same.
    """
    about = About.model_validate_json((folder / _ABOUT).read_bytes())
    if len(folder.name) != NAME_LENGTH or about.key[:NAME_LENGTH] != folder.name:
        raise ValueError(f"{folder}: found another folder, expected a store")
    return about


def _bytes_on_disk(folder: Path) -> int:
    # Files with holes take less than their size.
    files = [folder / name for name in (*_ARRAYS, _ABOUT)]
    return sum(path.stat().st_blocks * 512 for path in files if path.is_file())


def list_stores(root: Path) -> tuple[list[StoreFacts], list[Path]]:
    """The stores in a folder, the one that was used last first; and what may be one but cannot be read."""
    found, others = [], []
    for path in sorted(root.glob(f"*/{_ABOUT}")):
        folder = path.parent
        try:
            about, checksums = _about(folder), np.load(folder / "checksums.npy")
            filled, used = int(np.count_nonzero(checksums)), path.stat().st_mtime
            found.append(StoreFacts(folder, about, filled, len(checksums), _bytes_on_disk(folder), used))
        except (OSError, ValueError, EOFError):
            others.append(folder)
    return sorted(found, key=lambda facts: -facts.used), others


def clear_stores(root: Path) -> tuple[int, list[Path]]:
    """Removes the stores in a folder, and nothing else that is there.

    A training that reads one keeps what it has opened.

    Returns:
        The bytes that they took; and what may be a store but does not say so, which stays.

    Raises:
        OSError: one cannot be removed.
    """
    freed, others = 0, []
    for path in list(root.glob(f"*/{_ABOUT}")):
        folder = path.parent
        try:
            _about(folder)
        except (OSError, ValueError):
            others.append(folder)
            continue
        lock = folder.with_name(f".{folder.name}.lock")
        with FileLock(lock):  # no training makes the store anew meanwhile
            freed += _bytes_on_disk(folder)
            for name in (*_ARRAYS, _ABOUT):  # the last is what a cleared store is found by
                (folder / name).unlink(missing_ok=True)
            if not any(folder.iterdir()):  # else the user has put something there
                folder.rmdir()
            lock.unlink(missing_ok=True)
    return freed, others
