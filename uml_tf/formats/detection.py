"""Telling DICOM and NIfTI files from pictures, by their content and by their names."""

from __future__ import annotations

from pathlib import Path

from uml_tf.runtime.images import IMAGE_SUFFIXES

DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")
NIFTI_SUFFIXES = (".nii", ".nii.gz")
_PREAMBLE = 128
_ENCRYPTED = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07"
"""The object identifiers 1.2.840.113549.1.7, which begin a file that CMS encrypts (DICOM PS3.15, annex B)."""


def has_dicom_preamble(data: bytes) -> bool:
    """Whether a file's content begins as DICOM does."""
    return data[_PREAMBLE : _PREAMBLE + 4] == b"DICM"


def is_encrypted(data: bytes) -> bool:
    """Whether a file's content is a secure DICOM file, which is encrypted as a whole."""
    return data[:1] == b"\x30" and _ENCRYPTED in data[:64]


def is_nifti(path: Path) -> bool:
    """Whether a file is NIfTI, by its name."""
    return path.name.lower().endswith(NIFTI_SUFFIXES)


def is_dicom_content(path: Path, data: bytes) -> bool:
    """Whether a file is read as DICOM: by its name, or by the beginning of its content, whatever its name.

    Args:
        path: of the file, for its suffix.
        data: its content, or the first 132 bytes of it.
    """
    return path.suffix.lower() in DICOM_SUFFIXES or has_dicom_preamble(data)


def is_dicom(path: Path) -> bool:
    """``is_dicom_content`` of a file; of one that cannot be read, by its name."""
    try:
        with path.open("rb") as file:
            return is_dicom_content(path, file.read(_PREAMBLE + 4))
    except OSError:
        return is_dicom_content(path, b"")


def is_picture(path: Path) -> bool:
    """Whether a file of a folder is to be read as an image."""
    if path.name.startswith("."):  # such as one that is still written
        return False
    return path.suffix.lower() in IMAGE_SUFFIXES or is_nifti(path) or is_dicom(path)
