"""The measures of images in one file, from which every metric can be computed again."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uml_tf.evaluation.measure import ImageMeasure
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.files import read_bytes, replacing

MEASURES_FILE = "measures.npz"
"""Among a run's files: the measures of the images of its test split."""

_TEXTS = ("image", "subject", "source", "decision")
_NUMBERS = ("label", "class_uncertainty", "mask_uncertainty", "foreground")
_LATER_NUMBERS = ("class_confidence", "mask_confidence", "familiarity")
"""Missing in files of earlier versions."""
_VECTORS = ("probability", "belief")
_OF_ALL, _OF_MASKED = ("shares", "quality"), ("values", "mask_doubts", "intervals", "experts")
_NAMED = (*_OF_ALL, *_OF_MASKED)

Array = NDArray[Any]


def _names(measures: Sequence[ImageMeasure], part: str) -> list[str]:
    return list(dict.fromkeys(name for m in measures for name in getattr(m, part)))


def save_measures(path: Path, measures: Sequence[ImageMeasure]) -> None:
    """Writes measures as NumPy arrays, atomically.

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
    for name in _names(measures, "counts"):
        arrays[f"counts/{name}"] = np.stack([m.counts[name] for m in measures if m.masked])
    with replacing(path) as temporary:
        np.savez_compressed(temporary, **arrays)  # type: ignore[arg-type]


def load_measures(path: Path) -> list[ImageMeasure]:
    """The inverse of ``save_measures``.

    Raises:
        UmlError: the file is missing, damaged or of another form.
    """
    try:
        with np.load(io.BytesIO(read_bytes(path)), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        return _measures(arrays)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise UmlError(f"{path}: cannot be read as measures of images ({error})") from error


def _measures(arrays: dict[str, Array]) -> list[ImageMeasure]:
    masked = arrays["masked"]
    row = np.cumsum(masked) - 1  # place among the images with a mask, as the counts are stored
    parts: dict[str, dict[str, Array]] = {part: {} for part in (*_NAMED, "counts")}
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
            fields["counts"] = {name: array[row[i]] for name, array in parts["counts"].items()}
        measures.append(ImageMeasure(**fields))
    return measures
