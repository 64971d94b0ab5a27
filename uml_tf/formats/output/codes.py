"""Codes of what a prediction speaks of: SNOMED CT and DICOM where they have one, else private ones.

The SNOMED CT codes are those of DICOM PS3.16 as pydicom lists them, and of glaucoma and seborrheic keratosis.
"""

from __future__ import annotations

import re
from typing import Any

from uml_tf.formats.extra import imported

PRIVATE = "99UMLTF"
"""Coding scheme designator of private codes."""

_NORMAL = ("17621005", "Normal")
_TUMOUR = ("108369006", "Tumor")
_SNOMED = {
    "healthy": _NORMAL,
    "normal": _NORMAL,
    "benign": ("30807003", "Benign"),
    "malignant": ("21594007", "Malignant"),
    "glaucoma": ("23986001", "Glaucoma"),
    "melanoma": ("1162635006", "Malignant melanoma"),
    "seborrheic_keratosis": ("25499005", "Seborrheic keratosis"),
    "disc": ("81016008", "Optic nerve head"),
    "lesion": ("52988006", "Lesion"),
    "tumour": _TUMOUR,
    "tumor": _TUMOUR,
    "mass": ("4147007", "Mass"),
}
_ANATOMY = ("disc", "cup", "rim")
_LONGEST_CODE = 16


def concept(value: str, scheme: str, meaning: str) -> Any:
    """A coded concept of highdicom; a meaning may have 64 characters."""
    return imported("highdicom", "--dicom").sr.CodedConcept(value, scheme, meaning[:64])


def private(value: str, meaning: str) -> Any:
    """A private code, of at most 16 characters."""
    return concept(value[:_LONGEST_CODE], PRIVATE, meaning)


def _key(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def class_code(name: str) -> Any:
    """The code of an image class or a region, by its name."""
    found = _SNOMED.get(_key(name))
    return concept(found[0], "SCT", found[1]) if found else private(_key(name), name)


def category_code(region: str) -> Any:
    """The category of a region: an anatomical structure, or one that is morphologically abnormal."""
    if _key(region) in _ANATOMY:
        return concept("91723000", "SCT", "Anatomical Structure")
    return concept("49755003", "SCT", "Morphologically Abnormal Structure")
