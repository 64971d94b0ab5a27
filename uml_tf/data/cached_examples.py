"""A split whose images are decoded and resized once, and kept on disk for this training and later ones.

What is kept is decided by the content of the files and by how they become inputs, not by the manifest: folds
of a data set, and trainings with other splits, share one store. Images are read when they are asked for, so
a training starts before all of them were decoded, and its memory does not depend on their number.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, overload

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from uml_tf.data.cache_folder import CACHE_VARIABLE, cache_folder
from uml_tf.data.dataset import PreparedDataset, Row
from uml_tf.data.file_digests import digests
from uml_tf.data.pipeline import Examples, decode_row, load_examples, located, resized
from uml_tf.data.pixel_store import NAME_LENGTH, Pixels, PixelStore
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.placement import Box, Fit, Placement, place
from uml_tf.runtime.threads import cores

_VERSION = 1
"""Of what an entry holds; a change of decoding or resizing needs another."""

AHEAD = 5000
"""Splits of up to so many images are decoded before the training, which finds damaged files at once."""

Array = NDArray[Any]
Warn = Callable[[str], None]


class Inputs:
    """The inputs of a network that are made from the rows of a data set, read from a store.

    Args:
        dataset: the data set.
        size: (H, W).
        fit: how a picture, or the part of it that is read, becomes an input.
        boxes: image -> the part of it that is read; all of it for images that are not named.
        store: opened for these.
        entries: row -> its entry in the store.
        warn: told once when the store cannot be written to any more.
    """

    def __init__(
        self,
        dataset: PreparedDataset,
        size: tuple[int, int],
        fit: Fit,
        boxes: Mapping[str, Box],
        store: PixelStore,
        entries: Mapping[Row, int],
        warn: Warn,
    ) -> None:
        self.dataset, self.size, self._fit, self._boxes = dataset, size, fit, boxes
        self.store, self._entries, self._warn = store, entries, warn
        self._pool = ThreadPoolExecutor(cores(), thread_name_prefix="decoding")
        self._full = False

    def made(self, row: Row) -> Pixels:
        """The input of a row, from its files.

        Raises:
            UmlError: a file is missing, damaged or does not fit, naming it.
        """
        image, mask, placement = decode_row(
            self.dataset, row, self._fit, self.size, self._boxes.get(row.image)
        )
        # On the CPU whatever devices there are: the same pixels everywhere, and no copies to and fro.
        with tf.device("CPU:0"):
            target = tf.constant(placement.target, tf.int32)
            shown = resized(tf.constant(image), target, self.size).numpy()
        return Pixels(shown, mask, np.array(placement.original, np.int32))

    def image(self, row: Row) -> Array:
        """``(H, W, 3)`` uint8, from the store, or from the row's files if it is not there; it is then."""
        entry = self._entries[row]
        return self.store.image(entry) if self.store.has(entry) else self._kept(row).image

    def mask(self, row: Row) -> Array:
        """``(H, W)`` uint8, as ``image``."""
        entry = self._entries[row]
        return self.store.mask(entry) if self.store.has(entry) else self._kept(row).mask

    def _check_unchanged(self, row: Row) -> None:
        """Refuses files that are not those which the entry of the store is named by.

        Raises:
            UmlError: one has changed since the data set was opened.
        """
        for name, digest in digests(
            self.dataset.root, [part for part in (row.image, row.mask) if part]
        ).items():
            if digest != self.dataset.file_digests[name]:
                raise UmlError(
                    f"{self.dataset.root / name}: found another content than when the data set was opened, "
                    "expected files that stay as they are while they are read"
                )

    def _kept(self, row: Row) -> Pixels:
        pixels = self.made(row)
        self._check_unchanged(row)
        if not self._full:
            try:
                self.store.put(self._entries[row], pixels)
            except OSError as error:
                self._full = True
                self._warn(
                    f"{_not_kept(self.store.folder, error)}: the rest are decoded whenever they are read"
                )
        return pixels

    def each(self, read: Callable[[Row], Array], rows: Sequence[Row]) -> Iterable[Array]:
        """``image`` or ``mask`` of several rows, in parallel where some are not in the store."""
        if all(self.store.has(self._entries[row]) for row in rows):
            return map(read, rows)
        return self._pool.map(read, rows)

    def placement(self, row: Row) -> Placement:
        """Where the picture of a row lies in its input."""
        entry = self._entries[row]
        original = self.store.original(entry) if self.store.has(entry) else self._kept(row).original
        height, width = original.tolist()
        return place(self._fit, (height, width), self.size, self._boxes.get(row.image))


class CachedArray:
    """The images or the masks of a split, read when they are asked for, as from an array.

    Args:
        inputs: of the data set.
        rows: of the split.
        read: ``inputs.image`` or ``inputs.mask``.
        channels: ``(3,)`` or ``()``.
    """

    def __init__(
        self, inputs: Inputs, rows: Sequence[Row], read: Callable[[Row], Array], channels: tuple[int, ...]
    ) -> None:
        self._inputs, self._rows, self._read = inputs, rows, read
        self.shape = (len(rows), *inputs.size, *channels)
        self.dtype = np.dtype(np.uint8)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> Array:
        """One item of an integer; several of a slice, or of an array of indices or booleans."""
        chosen = np.arange(len(self))[index]
        if chosen.ndim == 0:
            return self._read(self._rows[int(chosen)])
        found = np.empty((len(chosen), *self.shape[1:]), np.uint8)
        rows = [self._rows[i] for i in chosen.tolist()]
        for number, pixels in enumerate(self._inputs.each(self._read, rows)):
            found[number] = pixels
        return found


class CachedPlacements(Sequence[Placement]):
    """Where each picture of a split lies in its input."""

    def __init__(self, inputs: Inputs, rows: Sequence[Row]) -> None:
        self._inputs, self._rows = inputs, rows

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Placement: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Placement]: ...
    def __getitem__(self, index: int | slice) -> Placement | Sequence[Placement]:
        if isinstance(index, slice):
            return [self._inputs.placement(row) for row in self._rows[index]]
        return self._inputs.placement(self._rows[index])


def _not_kept(folder: Any, error: Exception) -> str:
    reason = getattr(error, "strerror", None) or error
    return f"{folder}: decoded images cannot be kept ({reason}; {CACHE_VARIABLE} names another folder)"


def _digests(dataset: PreparedDataset, boxes: Mapping[str, Box]) -> list[bytes]:
    """What decides the input of each row, but for what is the same for all rows."""
    files = dataset.file_digests
    return [
        hashlib.sha256(
            repr((files[row.image], files.get(row.mask, b""), boxes.get(row.image))).encode()
        ).digest()
        for row in dataset.rows
    ]


def _inputs(
    dataset: PreparedDataset, size: tuple[int, int], fit: Fit, boxes: Mapping[str, Box], warn: Warn
) -> Inputs | None:
    """The inputs of a data set, with their store; None where there can be none."""
    root = cache_folder()
    if root is None or not hasattr(os, "pread"):  # which Windows does not have
        return None
    of_rows = _digests(dataset, boxes)
    ordered = sorted(set(of_rows))
    settings = repr((_VERSION, size, fit, len(dataset.info.pixel_classes)))
    key = hashlib.sha256(settings.encode() + b"".join(ordered)).hexdigest()
    places = {digest: number for number, digest in enumerate(ordered)}
    about = {"dataset": dataset.info.name, "size": size, "fit": fit, "located": bool(boxes), "key": key}
    try:
        store = PixelStore.open(root / key[:NAME_LENGTH], len(ordered), size, about)
    except (OSError, UmlError) as error:
        warn(f"{_not_kept(root, error)}: all of them are held in memory")
        return None
    entries = {row: places[digest] for row, digest in zip(dataset.rows, of_rows, strict=True)}
    return Inputs(dataset, size, fit, boxes, store, entries, warn)


def open_splits(
    dataset: PreparedDataset,
    splits: Sequence[str],
    size: tuple[int, int],
    stage: Callable[[str, int], Callable[[int], None]],
    fit: Fit = "stretch",
    boxes: Mapping[str, Box] | None = None,
    warn: Warn = lambda line: None,
    ahead: bool = True,
) -> dict[str, Examples]:
    """Opens splits of a data set. Their arrays equal those of ``load_examples``.

    Args:
        dataset: the data set.
        splits: names of the splits.
        size: (H, W).
        stage: begins the progress display of reading a split, where it is read at once.
        fit: how a picture, or the part of it that is read, becomes an input.
        boxes: image -> the part of it that a locator found; all of it is read of images that are not named,
            and None means that no locator looked.
        warn: told what cannot be kept.
        ahead: whether to read splits of up to ``AHEAD`` images at once; others are read as they are needed.

    Raises:
        UmlError: a split is empty, or a file of one that is read at once is missing, damaged or does not
            fit. Of others this is raised when the file is asked for.
    """
    inputs = _inputs(dataset, size, fit, boxes or {}, warn)
    opened = {}
    for name in splits:
        rows = dataset.split(name)
        if inputs is None:
            progress = stage(f"reading {name}", len(rows))
            opened[name] = load_examples(dataset, name, size, progress, fit, boxes)
            continue
        if ahead and len(rows) <= AHEAD:
            progress = stage(f"reading {name}", len(rows))
            for done, _ in enumerate(inputs.each(inputs.image, rows), start=1):
                progress(done)
        opened[name] = Examples(
            CachedArray(inputs, rows, inputs.image, (3,)),
            np.array([dataset.label_index(row) for row in rows], np.int32),
            CachedArray(inputs, rows, inputs.mask, ()),
            np.array([bool(row.mask) for row in rows], np.float32),
            rows,
            CachedPlacements(inputs, rows),
            located(rows, boxes),
        )
    return opened
