"""The slices of a volume that lies in a folder as DICOM files, and the segmentations of them (DICOM SEG).

No message holds a value of a header; see ``uml_tf.formats.dicom``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uml_tf.formats.detection import is_dicom
from uml_tf.formats.dicom import quiet_pydicom
from uml_tf.formats.dicom_header import frame_count, frame_item
from uml_tf.formats.extra import imported
from uml_tf.runtime.errors import UmlError

Array = NDArray[Any]

SEGMENTATION_CLASSES = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
"""SOP classes of Segmentation Storage and Label Map Segmentation Storage."""
_KEYWORDS = (
    *("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "PatientID", "NumberOfFrames", "Rows", "Columns"),
    *("ImagePositionPatient", "ImageOrientationPatient"),
)
_SAME_PLACE = 0.1
"""Millimetres within which two positions are one."""
_SAME_DIRECTION = 1e-3


@dataclass(frozen=True)
class Slice:
    """One file of a series.

    Attributes:
        path: of the file.
        instance: its SOP Instance UID.
        corner: ``(3,)`` centre of its first pixel in the patient, in mm.
        directions: ``(6,)`` of its rows and columns in the patient.
        size: (H, W).
    """

    path: Path
    instance: str
    corner: Array
    directions: Array
    size: tuple[int, int]

    @property
    def height(self) -> float:
        """Position along the normal of the slice, in mm; upwards for usual axial slices."""
        return float(np.cross(self.directions[:3], self.directions[3:]) @ self.corner)

    def lies_at(self, corner: Array, directions: Array) -> bool:
        """Whether a picture of the same pixels would be at this place."""
        return bool(
            np.linalg.norm(self.corner - corner) <= _SAME_PLACE
            and np.abs(self.directions - directions).max() <= _SAME_DIRECTION
        )


@dataclass(frozen=True)
class Series:
    """The slices of one volume.

    Attributes:
        uid: Series Instance UID.
        patient: Patient ID; "" where the files state none.
        slices: along their normal.
    """

    uid: str
    patient: str
    slices: tuple[Slice, ...]


@dataclass(frozen=True)
class DicomFolder:
    """The DICOM files below a folder.

    Attributes:
        series: of slices that say where they lie in the patient.
        segmentations: files.
        others: files that are damaged, or say nothing of a place in the patient.
    """

    series: tuple[Series, ...]
    segmentations: tuple[Path, ...]
    others: tuple[Path, ...]


def _header(path: Path) -> Any:
    """The elements of a file that tell its place in a series; None of a damaged one."""
    pydicom = imported("pydicom", str(path))
    with quiet_pydicom():
        try:
            header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(_KEYWORDS))
            header.walk(lambda dataset, element: None)  # elements are parsed when they are read
        except Exception:  # pydicom raises whatever struct or zlib raises; whoever reads the pixels tells it
            return None
    return header


def _slice(path: Path, header: Any) -> Slice | None:
    try:
        corner = np.array([float(value) for value in header.ImagePositionPatient])
        directions = np.array([float(value) for value in header.ImageOrientationPatient])
        instance, size = str(header.SOPInstanceUID), (int(header.Rows), int(header.Columns))
    except (AttributeError, TypeError, ValueError):
        return None
    fits = corner.shape == (3,) and directions.shape == (6,) and frame_count(header) == 1
    return Slice(path, instance, corner, directions, size) if fits else None


def find_series(folder: Path) -> DicomFolder:
    """Finds the series and segmentations below a folder, by the headers of its files.

    Args:
        folder: with DICOM files, in folders inside it or not.
    """
    found: dict[str, list[Slice]] = {}
    patients: dict[str, str] = {}
    segmentations, others = [], []
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and is_dicom(path)):
        header = _header(path)
        if header is not None and header.get("SOPClassUID") in SEGMENTATION_CLASSES:
            segmentations.append(path)
            continue
        one = None if header is None else _slice(path, header)
        if one is None:
            others.append(path)
            continue
        uid = str(header.get("SeriesInstanceUID") or "")
        found.setdefault(uid, []).append(one)
        patients.setdefault(uid, str(header.get("PatientID") or ""))
    series = tuple(
        Series(uid, patients[uid], tuple(sorted(slices, key=lambda one: one.height)))
        for uid, slices in found.items()
    )
    return DicomFolder(series, tuple(segmentations), tuple(others))


def check_series(series: Series, name: str) -> None:
    """Refuses a series that is not one volume.

    Raises:
        UmlError: its slices are not parallel, or two lie at one place.
    """
    first = series.slices[0]
    for before, one in zip(series.slices, series.slices[1:], strict=False):
        if np.abs(one.directions - first.directions).max() > _SAME_DIRECTION:
            raise UmlError(f"{name}: found slices that are not parallel in one series, expected one volume")
        if one.height - before.height <= _SAME_PLACE / 10:
            raise UmlError(
                f"{name}: found two slices at one place in one series, expected one phase of one volume"
            )


def _frames(header: Any, name: str) -> Array:
    """``(N, H, W)`` bool, whether a pixel is of the segment of its frame."""
    pixels = imported("pydicom.pixels", name)
    values = np.asarray(pixels.pixel_array(header))
    values = values.reshape(frame_count(header), int(header.Rows), int(header.Columns))
    if header.get("SegmentationType") == "FRACTIONAL":
        return values >= 0.5 * int(header.get("MaximumFractionalValue", 255))
    return values != 0


def _referenced(group: Any) -> list[str]:
    """The images that a frame of a segmentation was derived from."""
    return [
        str(source.get("ReferencedSOPInstanceUID") or "")
        for derivation in group.get("DerivationImageSequence") or ()
        for source in derivation.get("SourceImageSequence") or ()
    ]


def _place(header: Any, number: int, group: Any, slices: Sequence[Slice]) -> Slice | None:
    """The slice that a frame of a segmentation is of; by its reference, else by its place."""
    instances = {one.instance: one for one in slices}
    for instance in _referenced(group):
        if instance in instances:
            return instances[instance]
    position = frame_item(header, number, "PlanePositionSequence", "ImagePositionPatient")
    orientation = frame_item(header, number, "PlaneOrientationSequence", "ImageOrientationPatient")
    if "ImagePositionPatient" not in position or "ImageOrientationPatient" not in orientation:
        return None
    corner = np.array([float(value) for value in position.ImagePositionPatient])
    directions = np.array([float(value) for value in orientation.ImageOrientationPatient])
    return next((one for one in slices if one.lies_at(corner, directions)), None)


def read_segmentation(path: Path, series: Sequence[Series], name: str) -> Mapping[str, Array]:
    """What a segmentation marks on the slices of a folder; all its segments are united.

    Args:
        path: the DICOM SEG.
        series: of the folder.
        name: for messages.

    Returns:
        SOP Instance UID of a slice -> ``(H, W)`` bool.

    Raises:
        UmlError: it is damaged, or has a marked frame that belongs to no slice.
    """
    pydicom = imported("pydicom", name)
    slices = [one for each in series for one in each.slices]
    found: dict[str, Array] = {}
    lost = 0
    with quiet_pydicom():
        try:
            header = pydicom.dcmread(path)
            groups = list(header.get("PerFrameFunctionalGroupsSequence") or ())
            for number, (frame, group) in enumerate(zip(_frames(header, name), groups, strict=True), start=1):
                one = _place(header, number, group, slices)
                if one is None:
                    lost += int(frame.any())
                elif one.instance in found:
                    found[one.instance] = found[one.instance] | frame
                else:
                    found[one.instance] = frame
        except Exception as error:
            raise UmlError(
                f"{name}: a damaged segmentation, cannot be read ({type(error).__name__})"
            ) from error
    if lost:
        raise UmlError(
            f"{name}: found {lost} marked frames of the segmentation that belong to no slice beside it, "
            "expected the slices that it was drawn on"
        )
    return found
