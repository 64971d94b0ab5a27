"""Writing the DICOM objects of a prediction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from uml_tf.formats.dicom import DicomPicture, quiet_pydicom
from uml_tf.formats.extra import imported
from uml_tf.formats.output.report import report
from uml_tf.formats.output.result import MANUFACTURER, ModelName, Result, result_of
from uml_tf.formats.output.segmentation import doubt_segmentation, mask_segmentation
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.files import remove, replacing
from uml_tf.runtime.model_card import ModelCard
from uml_tf.runtime.picture import Picture
from uml_tf.runtime.prediction import Prediction

ENDINGS = MASK, DOUBT, REPORT = "_seg.dcm", "_doubt_seg.dcm", "_report.dcm"


def check_object_folder(folders: Sequence[Path], out: Path) -> None:
    """Refuses a folder of images as the folder of their DICOM objects, which would be images the next time.

    Raises:
        UmlError: ``out`` is one of the folders.
    """
    if out.resolve() in {folder.resolve() for folder in folders}:
        raise UmlError(f"--dicom {out}: found the folder of the images, expected another one")


def _check_ours(path: Path) -> None:
    """Refuses to replace or delete a file that is there and that was not written here."""
    if not path.exists():
        return
    pydicom = imported("pydicom", "--dicom")
    try:
        with quiet_pydicom():
            maker = pydicom.dcmread(path, specific_tags=["Manufacturer"]).get("Manufacturer")
    except Exception:  # no DICOM: in a damaged file, pydicom raises whatever struct or zlib raises
        maker = None
    if maker != MANUFACTURER:
        raise UmlError(f"{path}: exists already, and was not written by uml-tf; expected another --dicom")


def _remove_ours(path: Path) -> None:
    """Removes an object of an earlier prediction, if there is one.

    Raises:
        UmlError: the file was not written here, or cannot be removed.
    """
    _check_ours(path)
    remove(path)


def write_dicom(folder: Path, stem: str, result: Result) -> list[Path]:
    """Writes mask, doubt and report; of an image that cannot be graded, the report alone.

    Those of an earlier prediction are replaced, and no other file.

    Args:
        folder: where.
        stem: what the names begin with.
        result: of one picture.

    Returns:
        The files.

    Raises:
        UmlError: the source lacks what an object of its study needs, a file cannot be written, or one
            would be replaced that was not written here.
    """
    with quiet_pydicom():
        try:
            if result.prediction.decision.action == "ungradable":
                objects = {REPORT: report(result, None)}
            else:
                mask = mask_segmentation(result)
                objects = {MASK: mask, DOUBT: doubt_segmentation(result), REPORT: report(result, mask)}
        except (AttributeError, KeyError, TypeError, ValueError, NotImplementedError) as error:
            raise UmlError(
                f"{stem}: --dicom: the source lacks what an object of its study needs "
                f"({type(error).__name__})"
            ) from error
        for ending in ENDINGS:
            _check_ours(folder / f"{stem}{ending}")
        for ending in ENDINGS:  # of an earlier prediction, which may have been graded
            if ending not in objects:
                remove(folder / f"{stem}{ending}")
        for ending, made in objects.items():
            with replacing(folder / f"{stem}{ending}") as temporary:
                made.save_as(temporary)
    return [folder / f"{stem}{ending}" for ending in objects]


@dataclass
class DicomWriter:
    """Writes the objects of each prediction of a command; one that fails does not stop the others.

    Attributes:
        folder: where.
        card: names of the model's classes.
        model: what is said of the model.
        complain: called with one line for each prediction that cannot be written, and for each object that
            cannot be removed.
        failed: the stems of the predictions that cannot be written.
    """

    folder: Path
    card: ModelCard
    model: ModelName
    complain: Callable[[str], None]
    failed: list[str] = field(default_factory=list)

    def write(self, stem: str, picture: Picture, prediction: Prediction) -> None:
        """Writes the objects of one prediction, of a picture that ``check_source`` passes."""
        if not isinstance(picture, DicomPicture):
            return
        try:
            write_dicom(self.folder, stem, result_of(picture, prediction, self.card, self.model))
        except UmlError as error:
            self.failed.append(stem)
            self.complain(str(error))

    def remove(self, stem: str) -> None:
        """Removes the objects of an earlier prediction; one that was not written here stays, with a line."""
        for ending in ENDINGS:
            try:
                _remove_ours(self.folder / f"{stem}{ending}")
            except UmlError as error:
                self.complain(str(error))
