"""What a DICOM header says of an image that groups are formed by and that names nobody: sex, age, device."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

OLDEST = 90
"""Ages from here on are this one: among few very old patients an age can tell who it is."""
_YEARS = {"D": 1 / 365.25, "W": 7 / 365.25, "M": 1 / 12, "Y": 1.0}


def _text(header: Any, *keywords: str) -> str:
    found = (str(header.get(keyword) or "").strip() for keyword in keywords)
    return " ".join(word for word in found if word)


def _date(text: str) -> date | None:
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:8]))
    except ValueError:
        return None


def _age(header: Any) -> str:
    """In whole years: as stated, else from the dates of birth and of the study."""
    stated = _text(header, "PatientAge").upper()
    if stated[:-1].isdigit() and stated[-1:] in _YEARS:
        years = int(int(stated[:-1]) * _YEARS[stated[-1]] + 1e-6)
    else:
        born, seen = _date(_text(header, "PatientBirthDate")), _date(_text(header, "StudyDate"))
        if born is None or seen is None or seen < born:
            return ""
        years = seen.year - born.year - ((seen.month, seen.day) < (born.month, born.day))
    return str(min(years, OLDEST))


def _side(header: Any) -> str:
    return _text(header, "ImageLaterality") or _text(header, "Laterality")


HEADER_COLUMNS: dict[str, Callable[[Any], str]] = {
    "sex": lambda header: _text(header, "PatientSex"),
    "age": _age,
    "device": lambda header: _text(header, "Manufacturer", "ManufacturerModelName"),
    "modality": lambda header: _text(header, "Modality"),
    "side": _side,
}
"""Name of a column -> its value for a header; "" where the header does not state it."""


def header_columns(header: Any, names: tuple[str, ...]) -> dict[str, str]:
    """Column -> value, of those columns that a header can have.

    Args:
        header: the pydicom data set.
        names: the columns that are wanted; others than those of ``HEADER_COLUMNS`` are passed over.
    """
    found = {}
    for name in names:
        if name in HEADER_COLUMNS:
            try:
                found[name] = HEADER_COLUMNS[name](header)
            except Exception:  # a damaged element: pydicom raises whatever its parser raises
                found[name] = ""
    return found
