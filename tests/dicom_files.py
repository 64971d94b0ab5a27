"""Small DICOM files, written by pydicom, that are full of a patient's identifiers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

SAMPLES = Path(pydicom.__file__).parent / "data/test_files"
"""pydicom's own test files."""

IDENTIFIERS = {
    "PatientName": "Quillfeather^Ottoline",
    "PatientID": "MRN7734091",
    "PatientBirthDate": "19310217",
    "PatientAddress": "12 Ferngully Row",
    "OtherPatientIDs": "SSN551208834",
    "ReferringPhysicianName": "Zabrowski^Quentin",
    "InstitutionName": "Larkspur General",
    "AccessionNumber": "ACC99120087",
    "StudyID": "STUDY661",
    "StudyDescription": "follow-up Quillfeather",
    "OperatorsName": "Vandermolen^Iris",
}
"""Values that may be nowhere in what is written or printed."""

OPHTHALMIC_PHOTOGRAPHY = "1.2.840.10008.5.1.4.1.1.77.1.5.1"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def dicom_image(pixels: np.ndarray, spacing=None, bits: int | None = None, **more) -> FileDataset:
    """A DICOM image of ``(H, W)``, ``(H, W, 3)`` or, with ``NumberOfFrames``, ``(N, H, W)`` values."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = more.get("SOPClassUID", SECONDARY_CAPTURE)
    meta.MediaStorageSOPInstanceUID = generate_uid()
    file = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    file.SOPClassUID, file.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    file.StudyInstanceUID, file.SeriesInstanceUID = generate_uid(), generate_uid()
    file.StudyDate, file.StudyTime, file.Modality, file.SeriesNumber = "20260102", "101500", "OP", 1
    file.PatientSex, file.InstanceNumber = "F", 1
    for keyword, value in IDENTIFIERS.items():
        setattr(file, keyword, value)
    colour = pixels.shape[-1] == 3
    rows = pixels.shape[-3:-1] if colour else pixels.shape[-2:]
    file.Rows, file.Columns, file.SamplesPerPixel = *rows, 3 if colour else 1
    file.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        file.PlanarConfiguration = 0
    file.BitsAllocated = 8 * pixels.dtype.itemsize
    file.BitsStored = bits or file.BitsAllocated
    file.HighBit, file.PixelRepresentation = file.BitsStored - 1, int(pixels.dtype.kind == "i")
    if spacing is not None:
        file.PixelSpacing = list(spacing)
    for keyword, value in more.items():
        setattr(file, keyword, value)
    file.PixelData = pixels.tobytes()
    return file


def write_dicom(path: Path, *arguments, **more) -> Path:
    """Writes ``dicom_image``; returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    dicom_image(*arguments, **more).save_as(path, enforce_file_format=True)
    return path
