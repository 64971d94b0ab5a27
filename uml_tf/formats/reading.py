"""The one place that turns a file of any known format to a picture of 8-bit RGB."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from uml_tf.formats.detection import is_dicom, is_dicom_content, is_encrypted, is_nifti
from uml_tf.formats.dicom import read_dicom
from uml_tf.formats.identifiers import check_burned_in, content_alias
from uml_tf.formats.nifti import read_nifti
from uml_tf.formats.selection import WHOLE, Selection
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.files import read_bytes
from uml_tf.runtime.images import IMAGE_SUFFIXES, decode_picture, read_image_size
from uml_tf.runtime.intensity import Intensity
from uml_tf.runtime.picture import Picture


def decode_any(
    path: Path, data: bytes, name: str, intensity: Intensity, selection: Selection = WHOLE
) -> Picture:
    """A picture from a file's content.

    Args:
        path: of the file, for its suffix.
        data: its content.
        name: for messages.
        intensity: how grey values of more than 8 bits are mapped.
        selection: which picture of a file with several.

    Raises:
        UmlError: the content is none of the known formats, or as the readers of the formats.
    """
    if is_encrypted(data):
        raise UmlError(f"{name}: found an encrypted DICOM file, expected it decrypted")
    if is_dicom_content(path, data):
        return read_dicom(data, name, intensity, selection.frame)
    if is_nifti(path):
        return read_nifti(path, data, name, intensity, selection)
    return decode_picture(data, name, intensity)


@dataclass(frozen=True)
class FileReading:
    """How the files of a command are read.

    Attributes:
        intensity: how grey values of more than 8 bits, and of DICOM, are mapped.
        selection: which picture of a file with several.
        keep_identifiers: read DICOM files too that state that the patient's name is in their pixels.
    """

    intensity: Intensity = field(default_factory=Intensity)
    selection: Selection = WHOLE
    keep_identifiers: bool = False

    def decode(self, path: Path, data: bytes, name: str) -> Picture:
        """A picture from the content of a file; see ``decode_any``.

        Raises:
            UmlError: as ``decode_any``; or identifiers are in its pixels.
        """
        picture = decode_any(path, data, name, self.intensity, self.selection)
        if not self.keep_identifiers:
            check_burned_in(picture, name)
        return picture

    def read(self, path: Path, name: str | None = None) -> Picture:
        """A picture from a file.

        Args:
            path: the file.
            name: what messages call it; by default its path, or of a DICOM file, whose name may be that of a
                patient, its alias, unless identifiers are kept.

        Raises:
            UmlError: the file is missing, or as ``decode``.
        """
        hidden = name is None and not self.keep_identifiers and is_dicom(path)
        try:
            data = read_bytes(path)
        except UmlError as error:
            shown = "a DICOM file" if hidden else name or str(path)
            raise UmlError(str(error).replace(str(path), shown)) from error
        return self.decode(path, data, content_alias(data) if hidden else name or str(path))

    def size(self, path: Path) -> tuple[int, int]:
        """(H, W) of the picture that ``read`` returns; of the usual image formats from the header alone.

        Raises:
            UmlError: as ``read``.
        """
        if path.suffix.lower() in IMAGE_SUFFIXES and not is_dicom(path):
            return read_image_size(path)
        height, width = self.read(path).pixels.shape[:2]
        return height, width
