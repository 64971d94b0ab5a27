"""The measures of images in one file, from which every metric can be computed again."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import IO, Any
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from uml_tf.evaluation.measure import Counts, ImageMeasure
from uml_tf.metrics.packed_counts import PackedCounts, packed
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.files import replacing

MEASURES_FILE = "measures.npz"
"""Among a run's files: the measures of the images of its test split."""

_TEXTS = ("image", "subject", "source", "decision")
_NUMBERS = ("label", "class_uncertainty", "mask_uncertainty", "foreground")
_LATER_NUMBERS = ("class_confidence", "mask_confidence", "familiarity", "grade_disagreement", "region_found")
"""Missing in files of earlier versions."""
_VECTORS = ("probability", "belief")
_OF_ALL, _OF_MASKED = ("shares", "quality"), ("values", "mask_doubts", "intervals", "experts")
_NAMED = (*_OF_ALL, *_OF_MASKED)
_COUNTS = "counts/"

Array = NDArray[Any]


def _names(measures: Sequence[ImageMeasure], part: str) -> list[str]:
    return list(dict.fromkeys(name for m in measures for name in getattr(m, part)))


def save_measures(path: Path, measures: Sequence[ImageMeasure]) -> None:
    """Writes measures as NumPy arrays, atomically; counts image by image.

    Args:
        path: the ``.npz`` file.
        measures: of at least one image.
    """
    arrays: dict[str, Array] = {"masked": np.array([m.masked for m in measures])}
    for name in (*_TEXTS, *_NUMBERS, *_LATER_NUMBERS, *_VECTORS):
        arrays[name] = np.array([getattr(m, name) for m in measures])
    for part in _NAMED:
        for name in _names(measures, part):
            arrays[f"{part}/{name}"] = np.array([getattr(m, part).get(name, np.nan) for m in measures])
    with replacing(path) as temporary, ZipFile(temporary, "w", ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                npy.write_array(file, array, allow_pickle=False)
        for name in _names(measures, "counts"):
            with archive.open(f"{_COUNTS}{name}.npy", "w", force_zip64=True) as file:
                _write_rows(file, [m.counts[name] for m in measures if m.masked])


def _write_rows(file: IO[bytes], rows: Sequence[Counts]) -> None:
    """What ``numpy.save`` writes of the stacked rows."""
    dtype = np.result_type(*(row.dtype for row in rows))
    shape = (len(rows), *rows[0].shape)
    header = {"descr": npy.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    npy.write_array_header_1_0(file, header)
    for row in rows:
        file.write(np.asarray(row, dtype).tobytes())


def load_measures(path: Path) -> list[ImageMeasure]:
    """The inverse of ``save_measures``.

    Raises:
        UmlError: the file is missing, damaged or of another form.
    """
    arrays: dict[str, Array] = {}
    counts: dict[str, list[PackedCounts]] = {}
    try:
        with ZipFile(path) as archive:
            for member in archive.namelist():
                name = member.removesuffix(".npy")
                with archive.open(member) as file:
                    if name.startswith(_COUNTS):
                        counts[name.removeprefix(_COUNTS)] = [packed(row) for row in _rows(file)]
                    else:
                        arrays[name] = npy.read_array(file, allow_pickle=False)
        return _measures(arrays, counts)
    except FileNotFoundError:
        raise UmlError(f"{path}: no such file") from None
    except (OSError, ValueError, KeyError, IndexError, EOFError, BadZipFile, zlib.error) as error:
        raise UmlError(f"{path}: cannot be read as measures of images ({error})") from error


def _rows(file: IO[bytes]) -> Iterator[Array]:
    """Yields the rows of a stored array, one at a time in memory."""
    if npy.read_magic(file) != (1, 0):
        raise ValueError("found another version of NumPy's format, expected 1.0")
    shape, by_column, dtype = npy.read_array_header_1_0(file)
    if by_column:
        file.seek(0)
        yield from npy.read_array(file, allow_pickle=False)
        return
    size = dtype.itemsize * prod(shape[1:])
    for number in range(shape[0]):
        row = file.read(size)
        if len(row) != size:
            raise ValueError(f"found the counts of {number} images, expected {shape[0]}")
        yield np.frombuffer(row, dtype).reshape(shape[1:])


def _measures(arrays: Mapping[str, Array], counts: Mapping[str, Sequence[Counts]]) -> list[ImageMeasure]:
    masked = arrays["masked"]
    row = np.cumsum(masked) - 1  # place among the images with a mask, as the counts are stored
    parts: dict[str, dict[str, Array]] = {part: {} for part in _NAMED}
    for key, array in arrays.items():
        part, slash, name = key.partition("/")
        if slash:
            parts[part][name] = array
    measures = []
    for i in range(len(masked)):
        fields: dict[str, Any] = {name: str(arrays[name][i]) for name in _TEXTS}
        fields |= {name: arrays[name][i].item() for name in _NUMBERS}
        fields |= {name: arrays[name][i].item() for name in _LATER_NUMBERS if name in arrays}
        fields |= {name: arrays[name][i] for name in _VECTORS}
        for part in _OF_ALL + (_OF_MASKED if masked[i] else ()):
            fields[part] = {name: float(array[i]) for name, array in parts[part].items()}
        if masked[i]:
            fields["counts"] = {name: packs[row[i]] for name, packs in counts.items()}
        measures.append(ImageMeasure(**fields))
    return measures
