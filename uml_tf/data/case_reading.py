"""Reading one case of a raw data set: its files are opened and checked, before anything is written."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from uml_tf.data.agreement import check_agreement
from uml_tf.data.converter import Case, RawDataset
from uml_tf.data.dataset import DatasetInfo
from uml_tf.data.masks import check_mask, read_mask
from uml_tf.formats.detection import is_dicom_content
from uml_tf.formats.dicom import DicomPicture
from uml_tf.formats.identifiers import content_alias
from uml_tf.formats.reading import FileReading
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.files import read_bytes
from uml_tf.runtime.image_header import read_header
from uml_tf.runtime.images import Array, decode_picture, encode_png
from uml_tf.runtime.picture import Picture


@dataclass(frozen=True)
class LoadedCase:
    """A case whose files are read and checked.

    Attributes:
        case: as the converter read it.
        content: of the prepared image file.
        picture: the image, as the raw file gives it.
        mapped: whether the raw file is DICOM, NIfTI or of more than 8 bits.
        mask: ``(H, W)`` uint8, or None where there is none that fits.
        problems: a line for each thing that is left out.
    """

    case: Case
    content: bytes
    picture: Picture
    mapped: bool
    mask: Array | None
    problems: tuple[str, ...]

    @property
    def image(self) -> Array:
        """RGB ``(H, W, 3)`` uint8."""
        return self.picture.pixels


def load_case(raw: RawDataset, item: object, reading: FileReading) -> LoadedCase:
    """Reads one case. That of a DICOM file gets an alias for its name, unless identifiers are kept.

    Args:
        raw: the data set.
        item: one of its items.
        reading: how files are read.

    Raises:
        UmlError: the case as a whole does not fit; a mask that does not fit is a problem of the case.
    """
    try:
        case = raw.read(item)
    except OSError as error:
        raise UmlError(f"{error.filename or item}: cannot be read ({error.strerror or error})") from error
    source = case.source or str(case.image if isinstance(case.image, Path) else case.name)
    if isinstance(case.image, Path):
        content = read_bytes(case.image)
        if is_dicom_content(case.image, content) and not reading.keep_identifiers:
            source = content_alias(content)
        picture = reading.decode(case.image, content, source)
    else:
        content = case.image if isinstance(case.image, bytes) else encode_png(case.image)
        picture = decode_picture(content, source, reading.intensity)
    if isinstance(picture, DicomPicture):
        case = _without_identifiers(case, picture, content, reading.keep_identifiers)
    image = picture.pixels
    if case.label and case.label not in raw.info.image_classes:
        known = ", ".join(raw.info.image_classes)
        raise UmlError(f"{source}: label: found '{case.label}', expected one of {known}")
    mask, problems = _load_mask(case, image, raw.info, source)
    if mask is None and not case.label:
        reason = (
            problems[-1] if problems else f"{source}: found neither label nor mask, expected at least one"
        )
        raise UmlError(reason)
    mapped = bool(picture.mapped) or read_header(content) is None
    return LoadedCase(case, encode_png(image) if mapped else content, picture, mapped, mask, problems)


def _without_identifiers(case: Case, picture: DicomPicture, content: bytes, keep: bool) -> Case:
    """The case of a DICOM file: its patient is that of the header, where the options name none."""
    patient = case.subject or str(picture.header.get("PatientID") or "")
    return replace(case, subject=patient, name=case.name if keep else content_alias(content))


def _load_mask(
    case: Case, image: Array, info: DatasetInfo, source: str
) -> tuple[Array | None, tuple[str, ...]]:
    """The mask, or None where there is none that fits; and the problems of the case."""
    if case.mask is None:
        return None, case.problems
    name = str(case.mask) if isinstance(case.mask, Path) else f"{source}: mask"
    size = (image.shape[0], image.shape[1])
    try:
        mask = read_mask(case.mask) if isinstance(case.mask, Path) else case.mask
        check_mask(mask, size, len(info.pixel_classes), name, Path(source).name)
        if case.agreement is not None:
            check_agreement(case.agreement, size, len(info.pixel_classes), f"{source}: agreement")
    except UmlError as error:
        return None, (*case.problems, str(error))
    return mask.astype(np.uint8), case.problems
