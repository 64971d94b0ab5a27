"""What the DICOM objects of one prediction are made of."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uml_tf.formats.dicom import DicomPicture
from uml_tf.formats.dicom_header import frame_count
from uml_tf.formats.extra import imported
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.model_card import ModelCard
from uml_tf.runtime.picture import Picture
from uml_tf.runtime.prediction import Prediction

MANUFACTURER = "uml-tf"

_NEEDED = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
_MAY_BE_EMPTY = (
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ReferringPhysicianName",
)
_PLACED = (
    "FrameOfReferenceUID",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "SliceThickness",
)
_PLACED_FRAMES = (
    "FrameOfReferenceUID",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
)
_OF_PLACED = (
    "FrameOfReferenceUID",
    "NumberOfFrames",
    "FrameIncrementPointer",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
)


@dataclass(frozen=True)
class ModelName:
    """What a report says of the model.

    Attributes:
        name, version: of the registry, or of the model's file and run.
        sha256: of what decides its answers (``Model.identity``).
    """

    name: str
    version: str
    sha256: str


def model_name(reference: str, card: ModelCard, sha256: str) -> ModelName:
    """What a report says of the model that a command's argument names.

    Args:
        reference: "models:/NAME/VERSION", "models:/NAME@ALIAS", a file, or another MODEL.
        card: of the model.
        sha256: of what decides its answers.
    """
    run = card.run_id[:12] or sha256[:12]
    if reference.startswith("models:/"):
        name, _, version = reference.removeprefix("models:/").replace("@", "/").partition("/")
        return ModelName(name, version or run, sha256)
    return ModelName(Path(reference).stem or reference, run, sha256)


@dataclass(frozen=True)
class Result:
    """One prediction of a DICOM picture.

    Attributes:
        source: the picture's header, with what highdicom needs of it. highdicom knows several frames only
            where they lie in a patient; a frame of other files is given to it as an image of its own.
        frame: number of the frame, from 1.
        frames: number of frames of the file.
        is_placed: whether the file says where its frames lie in the patient.
        prediction: of the picture.
        card: names of the model's classes.
        model: what is said of the model.
    """

    source: Any
    frame: int
    frames: int
    is_placed: bool
    prediction: Prediction
    card: ModelCard
    model: ModelName

    @property
    def is_accepted(self) -> bool:
        """Whether the answer may stand as a finding."""
        return self.prediction.decision.action == "accept"

    @property
    def caution(self) -> str:
        """What every label says of an answer that is no finding; "" for an accepted one."""
        return "" if self.is_accepted else f"not accepted: {self.prediction.decision.action}"


def check_source(picture: Picture, name: str) -> None:
    """Refuses a picture of which no DICOM objects can be written.

    Args:
        picture: the picture.
        name: for the message.

    Raises:
        UmlError: it is no DICOM, or does not state its study, series or instance.
    """
    if not isinstance(picture, DicomPicture):
        raise UmlError(f"{name}: --dicom: found no DICOM file, expected one, to write to its study")
    for keyword in _NEEDED:
        if not picture.header.get(keyword):
            raise UmlError(f"{name}: --dicom: found no {keyword}, expected it, to write to the same study")


def header_copy(header: Any) -> Any:
    """A pydicom data set with elements of its own; those of ``copy.copy`` would be the header's."""
    made = imported("pydicom", "--dicom").Dataset()
    for element in header:
        made.add(copy.copy(element))
    if hasattr(header, "file_meta"):
        made.file_meta = header.file_meta
    return made


def result_of(picture: DicomPicture, prediction: Prediction, card: ModelCard, model: ModelName) -> Result:
    """The parts together, of a picture that ``check_source`` passes."""
    header = picture.header
    source = header_copy(header)
    for keyword in _MAY_BE_EMPTY:
        if keyword not in source:
            setattr(source, keyword, "")
    frames = frame_count(header)
    needed = _PLACED_FRAMES if frames > 1 else _PLACED
    is_placed = all(keyword in header for keyword in needed)
    if not is_placed:
        for keyword in _OF_PLACED:
            if keyword in source:
                delattr(source, keyword)
    return Result(source, picture.frame, frames, is_placed, prediction, card, model)
