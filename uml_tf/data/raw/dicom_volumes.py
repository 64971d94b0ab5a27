"""Volumes of a raw data set that are folders of DICOM slices, with what is marked on each slice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from uml_tf.formats.series import DicomFolder, Series, check_series, find_series, read_segmentation
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.images import Array

MASK_NAME = "mask.npy"


@dataclass(frozen=True)
class DicomVolume:
    """The slices of one folder, and their masks.

    Attributes:
        files: along the normal of the slices.
        masks: file -> ``(H, W)`` bool; None where the folder has neither segmentation nor ``mask.npy``.
        patient: Patient ID; "" where the files state none.
        others: files that are no slice of it, e.g. damaged ones.
    """

    files: tuple[Path, ...]
    masks: Mapping[Path, Array] | None
    patient: str
    others: tuple[Path, ...]


def _name(folder: Path) -> str:
    """Of a folder in messages, where the name of a folder of DICOM files is replaced if a slash follows."""
    return f"{folder}/"


def _chosen(found: DicomFolder, marked: set[str], name: str) -> Series:
    """The series that is read: the only one, or the only one that a segmentation was drawn on."""
    candidates = [
        one
        for one in found.series
        if len(found.series) == 1 or marked & {each.instance for each in one.slices}
    ]
    if len(candidates) != 1:
        raise UmlError(
            f"{name}: found {len(found.series)} series of slices, {len(candidates)} of them with a "
            "segmentation, expected one series, or one with a segmentation"
        )
    return candidates[0]


def _from_array(path: Path, series: Series, name: str) -> dict[Path, Array]:
    try:
        mask = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise UmlError(f"{name}{MASK_NAME}: not a NumPy array ({type(error).__name__})") from error
    if mask.ndim != 3 or len(mask) != len(series.slices):
        raise UmlError(
            f"{name}{MASK_NAME}: found shape {mask.shape}, expected ({len(series.slices)}, H, W), "
            "one layer for each DICOM slice"
        )
    return {one.path: layer != 0 for one, layer in zip(series.slices, mask, strict=True)}


def find_volume(folder: Path) -> DicomVolume | None:
    """The volume of a folder, which may hold more folders; None where it has no DICOM slices.

    Masks are those of the segmentations (DICOM SEG) in the folder, united; or else of ``mask.npy``, ``(S, H,
    W)``, whose layers are in the order of the slices along their normal: upwards, for usual axial ones.

    Raises:
        UmlError: there are several volumes, or masks that do not belong to the slices.
    """
    found, name = find_series(folder), _name(folder)
    if not found.series:
        return None
    marked: dict[str, Array] = {}
    for path in found.segmentations:
        for instance, frame in read_segmentation(path, found.series, str(path)).items():
            before = marked.get(instance)
            if before is not None and before.shape != frame.shape:
                raise UmlError(f"{path}: found another size than that of another segmentation beside it")
            marked[instance] = frame if before is None else before | frame
    series = _chosen(found, set(marked), name)
    check_series(series, name)
    masks: dict[Path, Array] | None = None
    if found.segmentations:
        nothing = np.zeros(series.slices[0].size, bool)  # one array for all slices that have no frame
        masks = {one.path: marked.get(one.instance, nothing) for one in series.slices}
    elif (folder / MASK_NAME).is_file():
        masks = _from_array(folder / MASK_NAME, series, name)
    return DicomVolume(tuple(one.path for one in series.slices), masks, series.patient, found.others)
