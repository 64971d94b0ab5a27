"""The options of ``uml-tf data folder``."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from uml_tf.data.converter import ColumnOptions

FROM_FOLDER = "from-folder"


class FolderOptions(ColumnOptions):
    """What is where in the raw folder.

    Attributes:
        images: glob patterns of the images, with commas between.
        labels: "from-folder", a CSV file, or None.
        label_column: column of the label; or several with commas between, one for each class.
        image_column: column that names the image.
        label_pattern: regular expression for the label in the image's path, instead of ``labels``.
        otherwise: class of the rows with no 1 in any of several label columns.
        classes: the image classes in index order, or the raw values that stand for them.
        masks: file names of the masks.
        pixel_values: what the values of the masks' pixels mean.
        coco: annotation file, instead of ``masks``.
        subject_column, subject_pattern: where the patient is named.
        keep_split: "from-folder" or a column of the table.
        table: a CSV file for the subjects and splits, where ``labels`` is none.
        unions: reported regions of several pixel classes.
        name, source, licence, spacing: of ``dataset.yaml``.
    """

    images: str = Field(
        default="**/*", description="Glob of the images inside RAW, e.g. 'images/*.png'; several with commas."
    )
    labels: str | None = Field(
        default=None, description="from-folder: the image's folder is its class; or a CSV file."
    )
    label_column: str = Field(
        default="label", description="Column of the label; of a column per class: MEL,NV,BCC."
    )
    image_column: str = Field(
        default="image", description="Column with the image's name or path, with or without its suffix."
    )
    label_pattern: str | None = Field(
        default=None, description="Regular expression: its group in the image's path is the label."
    )
    otherwise: str | None = Field(
        default=None, description="Class of rows without a 1 in any of several label columns."
    )
    classes: str | None = Field(
        default=None,
        description="Image classes in order: normal,glaucoma; or of raw values: 0=normal,1=glaucoma.",
    )
    masks: str | None = Field(
        default=None,
        description="File names of an image's masks, from its folder ({stem}_mask*.png, ../masks/{stem}.png) "
        "or from RAW (/masks/{stem}.png); a file per class: rim={stem}_rim.png,cup={stem}_cup.png.",
    )
    pixel_values: str | None = Field(
        default=None,
        description="Classes of the masks' pixels: 0=background,128=rim,255=cup, 128-255=lesion, "
        "'#ff0000=disc'; 'unknown' for pixels to leave out. Without: white is foreground.",
    )
    coco: Path | None = Field(default=None, description="COCO JSON with the masks, instead of --masks.")
    subject_column: str | None = Field(default=None, description="Column that names the patient.")
    subject_pattern: str | None = Field(
        default=None, description="Regular expression: its group in the image's path is the patient."
    )
    keep_split: str | None = Field(
        default=None,
        description="Keep splits: from-folder (folders named train, val, test) or a column of the table.",
    )
    table: Path | None = Field(
        default=None, description="CSV with patients and splits, if --labels names none."
    )
    unions: str | None = Field(default=None, description="Regions to report: disc=rim+cup.")
    name: str | None = Field(default=None, description="Name of the data set  [default: RAW's name]")
    source: str = Field(default="", description="Where the images come from.")
    licence: str = Field(default="", description="Under which terms they may be used.")
    spacing: tuple[float, float] | None = Field(
        default=None, description="Height and width of a pixel in mm, if all images share them."
    )
