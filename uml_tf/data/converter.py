"""What a converter is: it finds the images of a raw format and reads each as a case; the rest is shared.

Every file in ``uml_tf/data/converters`` defines one and registers it in ``CONVERTERS``. ``uml-tf data``
offers what is registered; ``uml_tf.data.conversion`` checks the cases, groups, splits and writes them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from uml_tf.data.dataset import COLUMNS, OPTIONAL_COLUMNS, DatasetInfo
from uml_tf.data.near_duplicates import DEFAULT_DISTANCE, HASH_BITS
from uml_tf.formats.header_columns import HEADER_COLUMNS
from uml_tf.formats.reading import FileReading
from uml_tf.formats.selection import Axis, Selection
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.images import Array
from uml_tf.runtime.intensity import Intensity
from uml_tf.runtime.registry import Registry


class ConvertOptions(BaseModel):
    """Options of every converter. A converter's own model adds fields; each field is an option of its
    command.

    The field's name, type, default and description become the option's name, type, default and help.

    Attributes:
        seed: seed of the split.
        split: shares of train, val and test, each from 0 to 1, with the sum 1.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = Field(default=0, ge=0, description="Seed of the split.")
    split: tuple[float, float, float] = Field(
        default=(0.7, 0.1, 0.2), description="Shares of train, val and test."
    )

    @field_validator("split")
    @classmethod
    def _shares(cls, split: tuple[float, float, float]) -> tuple[float, float, float]:
        if min(split) < 0 or abs(sum(split) - 1) > 1e-6:
            raise ValueError("expected three shares from 0 to 1 with the sum 1")
        return split


def near_duplicate_field(default: int) -> Any:
    """The field ``near_duplicate_distance`` with another default, for a converter's own options."""
    return Field(
        default=default,
        ge=0,
        le=HASH_BITS,
        description="Images whose 256-bit hashes differ in at most this many bits, and whose detail agrees, "
        "come into the same split.",
    )


class RawOptions(ConvertOptions):
    """Options of a converter that reads a raw folder, which may hold damaged or repeated files.

    Attributes:
        strict: stop at the first file that does not fit, instead of leaving it out.
        near_duplicate_distance: largest number of differing bits, of 256, between the hashes of two images
            that one split must hold together, if their detail agrees too; see
            ``uml_tf.data.near_duplicates``.
        window, percentiles: see ``uml_tf.runtime.intensity``; at most one of them.
        frame, axis, slice: see ``uml_tf.formats.selection``.
        keep_identifiers: keep the names of DICOM files and patients, instead of aliases.
    """

    strict: bool = Field(
        default=False, description="Stop at a file that does not fit, instead of leaving it out."
    )
    near_duplicate_distance: int = near_duplicate_field(DEFAULT_DISTANCE)
    window: tuple[float, float] | None = Field(
        default=None,
        description="Centre and width of the grey values, for files of more than 8 bits and DICOM.",
    )
    percentiles: tuple[float, float] | None = Field(
        default=None,
        description="The percentiles of such a picture that become black and white  [default: the file's "
        "window, else 0.5 99.5]",
    )
    frame: int | None = Field(default=None, ge=1, description="Frame of DICOM files with several, from 1.")
    axis: Axis = Field(default="axial", description="Plane of the slices of NIfTI volumes.")
    slice: int | None = Field(default=None, ge=1, description="Slice of NIfTI volumes, from 1.")
    keep_identifiers: bool = Field(
        default=False, description="Keep the names of DICOM files and patients, instead of aliases."
    )

    @model_validator(mode="after")
    def _one_mapping(self) -> RawOptions:
        if self.window is not None and self.percentiles is not None:
            raise ValueError("window: found it beside percentiles, expected one of the two")
        self._intensity()
        return self

    def _intensity(self) -> Intensity:
        if self.window is not None:
            return Intensity("window", self.window)
        if self.percentiles is not None:
            return Intensity("percentile", percentiles=self.percentiles)
        return Intensity()

    def reading(self) -> FileReading:
        """How the files are read."""
        return FileReading(
            self._intensity(), Selection(self.frame, self.axis, self.slice), self.keep_identifiers
        )


class ColumnOptions(RawOptions):
    """Options of a converter that can fill further columns of the manifest.

    Attributes:
        columns: their names, with commas between: of the converter's table, or of ``HEADER_COLUMNS``.
    """

    columns: str | None = Field(
        default=None,
        description="Further columns of the manifest, to report by: of the table, or of DICOM headers "
        f"({', '.join(HEADER_COLUMNS)}).",
    )

    @property
    def further_columns(self) -> tuple[str, ...]:
        """The names in ``columns``."""
        names = (name.strip() for name in (self.columns or "").split(","))
        return tuple(dict.fromkeys(name for name in names if name))

    @model_validator(mode="after")
    def _columns_are_free(self) -> ColumnOptions:
        for name in self.further_columns:
            if name in (*COLUMNS, *OPTIONAL_COLUMNS):
                raise ValueError(f"columns: found '{name}', which every data set can have, expected others")
        return self

    def columns_of(self, known: Sequence[str]) -> tuple[str, ...]:
        """Those of the further columns that a table has.

        Args:
            known: the columns of the table.

        Raises:
            UmlError: one is neither there nor of a DICOM header.
        """
        for name in self.further_columns:
            if name not in known and name not in HEADER_COLUMNS:
                found = ", ".join(dict.fromkeys((*known, *HEADER_COLUMNS)))
                raise UmlError(f"--columns: found '{name}', expected some of {found}")
        return tuple(name for name in self.further_columns if name in known)


class PublishedSplitOptions(RawOptions):
    """Options of a converter whose source publishes splits.

    Attributes:
        new_split: draw the splits by ``split`` and ``seed``, instead of keeping those that are published.
    """

    new_split: bool = Field(
        default=False, description="Draw the splits by --split, instead of keeping the published ones."
    )


@dataclass(frozen=True)
class Case:
    """One image of a raw data set with what is known about it.

    Attributes:
        name: what the files are called in the prepared form; other characters than letters and digits are
            replaced, and repeated names get a number.
        image: the file, the content of an image file, or RGB ``(H, W, 3)`` uint8. A file is copied as it is;
            one that is DICOM, NIfTI or of more than 8 bits becomes an 8-bit PNG.
        label: name of the image class, or "" when it is not known.
        mask: a file whose pixels, or palette indices, are class indices; or these as an array ``(H, W)``; or
            None without a mask.
        subject: the patient, or "" when it is not known. No split divides a subject.
        group: images with the same group, other than "", are known to be copies of each other; they come into
            the same split, as near-duplicates do.
        split: the split that the source publishes, which is kept; "" to have it drawn. Of one data set all
            cases have a published split, or none.
        agreement: ``(H, W, C)`` share of several experts that chose each pixel class, in [0, 1]; needs a
            mask. See ``uml_tf.data.agreement``.
        grades: how many of several experts gave each image class, in the order of ``image_classes``, with
            spaces between (``uml_tf.data.manifest_values.grades_text``); "" where it is not known.
        vertical_cup_to_disc_ratio: as a doctor measured it, a number in [0, 1] as text; "" where it is not
            known.
        columns: name -> value of further columns of the manifest that were asked for.
        source: the raw file, for messages; by default the image's path or the name.
        problems: a line for each thing that is left out of this case, as "FILE: what, found, expected".
    """

    name: str
    image: Path | bytes | Array
    label: str = ""
    mask: Path | Array | None = None
    subject: str = ""
    group: str = ""
    split: str = ""
    agreement: Array | None = None
    grades: str = ""
    vertical_cup_to_disc_ratio: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    source: str = ""
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class RawDataset:
    """A raw data set as a converter found it. Images are read later, one at a time.

    Attributes:
        info: the content of the prepared ``dataset.yaml``.
        items: what is read one at a time, e.g. the paths of the images.
        read: reads the case of one item. It raises ``UmlError`` for an image that does not fit; the image is
            left out, or with ``strict`` the conversion stops.
        notes: a line for each thing that is no fault but that a dry run should tell.
    """

    info: DatasetInfo
    items: Sequence[Any]
    read: Callable[[Any], Case]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Converter:
    """A raw format and how it is read.

    Attributes:
        help: one line for ``uml-tf data --help``; RAW and OUT are the command's folders.
        options: the model of the command's options, derived from ``RawOptions``; or derived from
            ``ConvertOptions`` directly for a converter that draws its images and has no raw folder.
        find: takes the raw folder (None without one) and the options, returns the data set. It raises
            ``UmlError`` when the folder is not of the format.
        stage: the label of the progress bar.
    """

    help: str
    options: type[ConvertOptions]
    find: Callable[[Any, Any], RawDataset]
    stage: str = "converting"

    @property
    def takes_raw(self) -> bool:
        """Whether the converter reads a raw folder."""
        return issubclass(self.options, RawOptions)


CONVERTERS = Registry[Converter]("converter", "uml_tf.data.converters")
"""Every converter by the name of its command. Each registers itself where it is defined."""
