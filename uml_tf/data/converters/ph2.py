"""Converter of PH2: dermoscopic photographs of common and atypical nevi and of melanoma.

Source: Mendonca et al., "PH2: A dermoscopic image database for research and benchmarking", EMBC 2013.
"""

from __future__ import annotations

from pathlib import Path

from uml_tf.data.converter import CONVERTERS, Case, Converter, RawDataset
from uml_tf.data.dataset import DatasetInfo
from uml_tf.data.raw.dermoscopy import PIXEL_CLASSES, DermoscopyOptions, read_lesion
from uml_tf.data.raw.named_files import files_by_key
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.files import read_bytes

TABLE_NAME = "PH2_dataset.txt"
CLASSES = ("common_nevus", "atypical_nevus", "melanoma")
_NAME, _DIAGNOSIS = 1, 3
"""Cells of a line || name || histological diagnosis || clinical diagnosis || ..."""

INFO = DatasetInfo(
    name="ph2",
    image_classes=CLASSES,
    pixel_classes=PIXEL_CLASSES,
    source="Mendonca et al., PH2, EMBC 2013",
    licence="for research; cite the article",
)


def read_diagnoses(path: Path) -> dict[str, str]:
    """Image -> class, of ``PH2_dataset.txt``: lines whose cells are separated by ``||``.

    The clinical diagnosis is 0 for a common nevus, 1 for an atypical nevus, 2 for a melanoma.

    Raises:
        UmlError: the file is missing, or has no line of an image.
    """
    diagnoses = {}
    for line in read_bytes(path).decode("latin-1").splitlines():
        cells = [cell.strip() for cell in line.split("||")]
        if len(cells) > _DIAGNOSIS and cells[_NAME].startswith("IMD"):
            value = cells[_DIAGNOSIS]
            if value not in ("0", "1", "2"):
                raise UmlError(f"{path}: {cells[_NAME]}: diagnosis: found '{value}', expected 0, 1 or 2")
            diagnoses[cells[_NAME]] = CLASSES[int(value)]
    if not diagnoses:
        raise UmlError(f"{path}: found no line of an image, expected || IMD003 || ... || 0 || ...")
    return diagnoses


def _find(raw: Path, options: DermoscopyOptions) -> RawDataset:
    """Finds ``PH2_dataset.txt`` and, at any depth, ``IMDN.bmp`` and ``IMDN_lesion.bmp``."""
    images = files_by_key(raw, r"(IMD\d+)\.(?:bmp|png|jpg)")
    if not images:
        raise UmlError(f"{raw}: found no IMDN.bmp, expected 'PH2 Dataset images'")
    masks = files_by_key(raw, r"(IMD\d+)_lesion\.(?:bmp|png)")
    tables = sorted(raw.rglob(TABLE_NAME))
    diagnoses = read_diagnoses(tables[0] if tables else raw / TABLE_NAME)

    def read(key: str) -> Case:
        if key not in diagnoses:
            raise UmlError(f"{images[key]}: found no line for it, expected one in {TABLE_NAME}")
        mask, problems = read_lesion(masks.get(key))
        return Case(key, images[key], diagnoses[key], mask, problems=problems)

    return RawDataset(INFO, list(images), read)


CONVERTERS.add(
    "ph2", Converter("Convert the PH2 dermoscopic photographs RAW into OUT.", DermoscopyOptions, _find)
)
