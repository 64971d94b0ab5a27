"""Converter of the ISIC 2017 challenge: dermoscopic photographs of melanoma, seborrheic keratosis and nevus.

Source: Codella et al., "Skin Lesion Analysis Toward Melanoma Detection: A Challenge at the 2017 International
Symposium on Biomedical Imaging", ISBI 2018.
"""

from __future__ import annotations

import re
from pathlib import Path

from uml_tf.data.converter import CONVERTERS, Case, Converter, RawDataset
from uml_tf.data.dataset import DatasetInfo
from uml_tf.data.raw.dermoscopy import PIXEL_CLASSES, PublishedDermoscopyOptions, read_lesion
from uml_tf.data.raw.image_facts import label_of_record, split_name
from uml_tf.data.raw.named_files import files_by_key, published
from uml_tf.data.raw.table import Record, read_table
from uml_tf.runtime.errors import UmlError

COLUMNS = ("melanoma", "seborrheic_keratosis")
NEVUS = "nevus"
_TABLE = re.compile(r"ISIC-2017_([A-Za-z]+)(?:_v2)?_Part3_GroundTruth\.csv")

INFO = DatasetInfo(
    name="isic2017",
    image_classes=(NEVUS, *COLUMNS),
    pixel_classes=PIXEL_CLASSES,
    source="Codella et al., ISIC 2017 challenge, ISBI 2018",
    licence="for research; cite the article",
)


def _tables(raw: Path) -> dict[str, tuple[str, Record]]:
    """Image -> its split and its row, of the tables of Part 3."""
    rows: dict[str, tuple[str, Record]] = {}
    for path in sorted(raw.rglob("*.csv")):
        match = _TABLE.fullmatch(path.name)
        if match:
            split = split_name(match[1])
            if not split:
                raise UmlError(f"{path}: found '{match[1]}', expected Training, Validation or Test")
            table = read_table(path, ["image_id", *COLUMNS])
            rows |= {record["image_id"]: (split, record) for record in table.records}
    if not rows:
        raise UmlError(
            f"{raw}: found no ISIC-2017_Training_Part3_GroundTruth.csv, expected the challenge's table"
        )
    return rows


def _find(raw: Path, options: PublishedDermoscopyOptions) -> RawDataset:
    """Finds, at any depth, ``ISIC_N.jpg``, ``ISIC_N_segmentation.png`` and the tables of Part 3.

    A photograph with 1 in neither column is a nevus. With tables of several parts their splits are kept.
    """
    images = files_by_key(raw, r"(ISIC_\d+)\.jpg")
    rows = _tables(raw)
    if not images:
        raise UmlError(f"{raw}: found no ISIC_N.jpg, expected the challenge's photographs")
    masks = files_by_key(raw, r"(ISIC_\d+)_segmentation\.png")
    listed = [key for key in images if key in rows]
    keeps = published((rows[key][0] for key in listed), options.new_split)

    def read(key: str) -> Case:
        if key not in rows:
            raise UmlError(f"{images[key]}: found no row for it, expected one in a table of Part 3")
        split, record = rows[key]
        mask, problems = read_lesion(masks.get(key))
        try:
            label = label_of_record(record, COLUMNS, NEVUS)
        except UmlError as error:
            raise UmlError(f"{images[key]}: {error}") from None
        return Case(key, images[key], label, mask, split=split if keeps else "", problems=problems)

    missing = len(rows) - len(listed)
    notes = (f"{missing} rows of the tables name no photograph",) if missing else ()
    return RawDataset(INFO, list(images), read, notes)


CONVERTERS.add(
    "isic2017",
    Converter(
        "Convert the ISIC 2017 dermoscopic photographs RAW into OUT.", PublishedDermoscopyOptions, _find
    ),
)
