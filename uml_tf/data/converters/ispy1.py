"""Converter of I-SPY 1: slices of breast MRI with the tumour, and whether it vanished under treatment (pCR).

Source: Hylton et al., "Neoadjuvant Chemotherapy for Breast Cancer: Functional Tumor Volume by MR Imaging
Predicts Recurrence-free Survival", Radiology 279, 2016; the collection is on The Cancer Imaging Archive.

Three layouts are read:

- slices, as the authors of UML prepared them: ``images/PATIENT/PATIENT_PCR_sN_img.jpg`` and
  ``masks/PATIENT/PATIENT_PCR_sN_msk.jpg``, PCR 0 or 1, in Train, Valid and Test; the splits are kept;
- volumes: ``PATIENT/image.npy`` and ``PATIENT/mask.npy``, and ``clinical.csv`` with the columns SUBJECTID and
  PCR. An image is ``(S, H, W)``, or ``(S, H, W, 3)`` for three phases of the contrast agent; a mask is
  ``(S, H, W)``, not 0 in the tumour; S slices;
- the same with ``PATIENT/``, by the name of the folder or by the Patient ID, holding DICOM slices in place of
  ``image.npy``, and a segmentation of them (DICOM SEG) or ``mask.npy``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from uml_tf.data.converter import (
    CONVERTERS,
    Case,
    ColumnOptions,
    Converter,
    PublishedSplitOptions,
    RawDataset,
)
from uml_tf.data.dataset import DatasetInfo
from uml_tf.data.masks import read_foreground
from uml_tf.data.raw.dicom_volumes import MASK_NAME, DicomVolume, find_volume
from uml_tf.data.raw.image_facts import split_of_folders
from uml_tf.data.raw.named_files import published
from uml_tf.data.raw.table import read_table
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.images import Array

TABLE_NAME, IMAGE_NAME = "clinical.csv", "image.npy"
CLASSES = ("no_pcr", "pcr")
_SLICE = re.compile(r"(?P<patient>.+)_(?P<pcr>[01])_s(?P<number>\d+)_img\.(?:jpg|png)")
_DARKEST, _BRIGHTEST = 1, 99
"""Percentiles of a volume that become black and white."""

INFO = DatasetInfo(
    name="ispy1",
    image_classes=CLASSES,
    pixel_classes=("background", "tumour"),
    source="Hylton et al., I-SPY 1, Radiology 279, 2016; The Cancer Imaging Archive",
    licence="for research; cite the article",
)


class Ispy1Options(ColumnOptions, PublishedSplitOptions):
    """Which slices are taken.

    Attributes:
        slices: of volumes, those that show the tumour, or all.
    """

    slices: Literal["tumour", "all"] = Field(
        default="tumour", description="Slices of volumes: those that show the tumour, or all."
    )


@dataclass(frozen=True)
class _Known:
    """What the table says of a patient.

    Attributes:
        label: class, or "" where it is not known.
        columns: the further columns that were asked for.
    """

    label: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _DicomSlice:
    """One DICOM file of a volume."""

    file: Path
    known: _Known
    patient: str
    mask: Array | None


@dataclass(frozen=True)
class _Slice:
    """One slice of a volume."""

    patient: str
    known: _Known
    number: int


def _load(path: Path) -> Array:
    """A NumPy file, of which only what is used is read.

    Raises:
        UmlError: it is missing or no array.
    """
    try:
        array: Array = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise UmlError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        raise UmlError(f"{path}: not a NumPy array ({error})") from error
    return array


def to_grey_values(values: Array, darkest: float, brightest: float) -> Array:
    """RGB ``(H, W, 3)`` uint8 of a slice ``(H, W)`` or ``(H, W, 3)``; the limits become black and white."""
    scaled = np.clip((values.astype(np.float64) - darkest) / max(brightest - darkest, 1e-9), 0, 1)
    grey = np.rint(255 * scaled).astype(np.uint8)
    return grey if grey.ndim == 3 else np.repeat(grey[..., None], 3, axis=-1)


def _volume_slices(
    raw: Path, options: Ispy1Options, patients: Mapping[str, _Known]
) -> tuple[list[_Slice], list[str]]:
    """The slices to take; and a note for each patient whose files do not fit."""
    found, notes = [], []
    for patient, known in patients.items():
        if not (raw / patient / IMAGE_NAME).is_file():
            notes.append(f"{raw / patient / IMAGE_NAME}: no such file, for patient '{patient}'")
            continue
        image, mask = _load(raw / patient / IMAGE_NAME), _load(raw / patient / MASK_NAME)
        if mask.ndim != 3 or image.shape[:3] != mask.shape or image.shape[3:] not in ((), (3,)):
            raise UmlError(
                f"{raw / patient}: found an image of shape {image.shape} and a mask of {mask.shape}, "
                "expected (S, H, W) or (S, H, W, 3), and (S, H, W)"
            )
        numbers = range(len(mask)) if options.slices == "all" else np.flatnonzero(mask[:].any(axis=(1, 2)))
        found += [_Slice(patient, known, int(number)) for number in numbers]
    return found, notes


def _patients(raw: Path, options: Ispy1Options) -> dict[str, _Known]:
    """Patient -> what the table says."""
    table = read_table(raw / TABLE_NAME, ["SUBJECTID", "PCR"])
    wanted = options.columns_of(table.columns)
    return {
        record["SUBJECTID"]: _Known(
            CLASSES[int(record["PCR"])] if record["PCR"] in ("0", "1") else "",
            {name: record[name] for name in wanted},
        )
        for record in table.records
    }


def _dicom_slices(
    folder: Path, volume: DicomVolume, options: Ispy1Options, patients: Mapping[str, _Known]
) -> list[_DicomSlice]:
    if volume.masks is None and options.slices == "tumour":
        raise UmlError(
            f"{folder}/: found neither a segmentation (DICOM SEG) nor {MASK_NAME}, expected one of them, "
            "or --slices all"
        )
    masks = volume.masks or {}
    known = patients.get(folder.name, patients.get(volume.patient, _Known()))
    taken = [file for file in volume.files if options.slices == "all" or masks[file].any()]
    patient = volume.patient or folder.name
    # What is no slice is among them, so that it is told when it is read.
    return [_DicomSlice(file, known, patient, masks.get(file)) for file in (*taken, *volume.others)]


def _read_dicom(item: _DicomSlice) -> Case:
    mask = None if item.mask is None else item.mask.astype(np.uint8)
    return Case(
        item.file.stem,
        item.file,
        item.known.label,
        mask,
        subject=item.patient,
        columns=item.known.columns,
    )


def _find_dicom(raw: Path, options: Ispy1Options, patients: Mapping[str, _Known]) -> RawDataset | None:
    """The slices of all folders that hold DICOM slices; None where none does."""
    found, folders, unlabelled = [], 0, 0
    for folder in sorted(path for path in raw.iterdir() if path.is_dir()):
        volume = find_volume(folder)
        if volume is not None:
            slices = _dicom_slices(folder, volume, options, patients)
            found += slices
            folders += 1
            unlabelled += bool(slices) and not slices[0].known.label
    if not folders:
        return None
    if not found:
        raise UmlError(f"{raw}: found no slice with a tumour in {folders} folders, expected some")
    notes = [f"{unlabelled} of {folders} folders have no PCR in {TABLE_NAME}"] if unlabelled else []
    return RawDataset(INFO, found, _read_dicom, tuple(notes))


def _find_volumes(raw: Path, options: Ispy1Options) -> RawDataset:
    patients = _patients(raw, options)
    dicom = _find_dicom(raw, options, patients)
    if dicom is not None:
        if any((raw / patient / IMAGE_NAME).is_file() for patient in patients):
            raise UmlError(f"{raw}: found DICOM slices and {IMAGE_NAME}, expected one kind of volume")
        return dicom
    found, notes = _volume_slices(raw, options, patients)
    if not found:
        raise UmlError(
            f"{raw}: found no slice, expected PATIENT/{IMAGE_NAME} or DICOM slices for the rows of "
            f"{TABLE_NAME}"
        )

    @lru_cache(maxsize=1)  # the slices of a patient follow each other
    def limits(patient: str) -> tuple[float, float]:
        volume = _load(raw / patient / IMAGE_NAME)
        darkest, brightest = np.percentile(volume, (_DARKEST, _BRIGHTEST))
        return float(darkest), float(brightest)

    def read(item: _Slice) -> Case:
        folder = raw / item.patient
        image = to_grey_values(_load(folder / IMAGE_NAME)[item.number], *limits(item.patient))
        mask = (_load(folder / MASK_NAME)[item.number] != 0).astype(np.uint8)
        name = f"{item.patient}_s{item.number}"
        return Case(
            name,
            image,
            item.known.label,
            mask,
            subject=item.patient,
            columns=item.known.columns,
            source=f"{folder}, slice {item.number}",
        )

    return RawDataset(INFO, found, read, tuple(notes))


def _find_slices(raw: Path, options: Ispy1Options, images: list[Path]) -> RawDataset:
    splits = [split_of_folders(path.relative_to(raw).as_posix()) for path in images]
    keeps = published(splits, options.new_split) and all(splits)

    def read(place: int) -> Case:
        path = images[place]
        match = _SLICE.fullmatch(path.name)
        assert match is not None, "it was found by this pattern"
        parent = path.parent.parent.parent / "masks" / path.parent.name
        mask_path = parent / path.name.replace("_img.", "_msk.")
        mask, problems = None, []
        if mask_path.is_file():
            try:
                mask = read_foreground(mask_path).astype(np.uint8)
            except UmlError as error:
                problems.append(str(error))
        return Case(
            path.stem.removesuffix("_img"),
            path,
            CLASSES[int(match["pcr"])],
            mask,
            subject=match["patient"],
            split=splits[place] if keeps else "",
            problems=tuple(problems),
        )

    return RawDataset(INFO, range(len(images)), read)


def _find(raw: Path, options: Ispy1Options) -> RawDataset:
    """Finds slices, or volumes by ``clinical.csv``; see the module."""
    images = [path for path in sorted(raw.rglob("*_img.*")) if _SLICE.fullmatch(path.name)]
    has_volumes = (raw / TABLE_NAME).is_file()
    if bool(images) == has_volumes:
        found = "slices and volumes" if images else "neither"
        raise UmlError(
            f"{raw}: found {found}, expected images/PATIENT/PATIENT_PCR_sN_img.jpg, or {TABLE_NAME} and "
            f"PATIENT/{IMAGE_NAME} or DICOM slices in PATIENT"
        )
    return _find_slices(raw, options, images) if images else _find_volumes(raw, options)


CONVERTERS.add(
    "ispy1",
    Converter(
        "Convert slices, or DICOM or NumPy volumes, of the I-SPY 1 breast MRI RAW into OUT.",
        Ispy1Options,
        _find,
    ),
)
