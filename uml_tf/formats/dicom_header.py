"""What a DICOM header says of one of its frames: how many there are, window and pixel size."""

from __future__ import annotations

from typing import Any

from uml_tf.runtime.intensity import Window

_CENTIMETRES = 3
"""Code of the unit of an ultrasound region (DICOM PS3.3, C.8.5.5.1.15)."""


def frame_count(header: Any) -> int:
    """Number of frames, at least 1."""
    try:
        return max(1, int(header.get("NumberOfFrames") or 1))
    except (TypeError, ValueError):
        return 1


def frame_item(header: Any, frame: int, sequence: str, keyword: str) -> Any:
    """The data set that has an attribute of a frame: a functional group of an enhanced file, or the header.

    Args:
        header: the pydicom data set.
        frame: from 1.
        sequence: keyword of the functional group.
        keyword: of the attribute.
    """
    groups = list(header.get("PerFrameFunctionalGroupsSequence") or ())[frame - 1 : frame]
    groups += list(header.get("SharedFunctionalGroupsSequence") or ())[:1]
    for group in groups:
        for item in list(group.get(sequence) or ())[:1]:
            if keyword in item:
                return item
    return header


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list | tuple) or hasattr(value, "append") else value


def stated_window(header: Any, frame: int) -> Window | None:
    """The first window that the file states for a frame, or None."""
    item = frame_item(header, frame, "FrameVOILUTSequence", "WindowCenter")
    centre, width = item.get("WindowCenter"), item.get("WindowWidth")
    if centre in (None, "") or width in (None, ""):
        return None
    function = str(item.get("VOILUTFunction") or "LINEAR")
    window = Window(float(_first(centre)), float(_first(width)), function)
    return window if window.width > 0 else None


def pixel_spacing(header: Any, frame: int) -> tuple[float, float] | None:
    """(row, column) pixel size of a frame in millimetres in the patient, or None where the file states none.

    The spacing at a detector (Imager Pixel Spacing) is not taken: it is that of a magnified image.
    """
    item = frame_item(header, frame, "PixelMeasuresSequence", "PixelSpacing")
    if item.get("PixelSpacing"):
        row, column = (float(value) for value in item.PixelSpacing)
        return (row, column) if row > 0 and column > 0 else None
    return _ultrasound_spacing(header)


def _ultrasound_spacing(header: Any) -> tuple[float, float] | None:
    """The pixel size that all regions of an ultrasound image share, or None."""
    found = set()
    for region in header.get("SequenceOfUltrasoundRegions") or ():
        units = region.get("PhysicalUnitsXDirection"), region.get("PhysicalUnitsYDirection")
        if units != (_CENTIMETRES, _CENTIMETRES):
            return None
        found.add((abs(float(region.PhysicalDeltaY)) * 10, abs(float(region.PhysicalDeltaX)) * 10))
    return found.pop() if len(found) == 1 and min(next(iter(found))) > 0 else None
