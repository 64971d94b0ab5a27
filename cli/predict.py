"""``uml-tf predict``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from uml_tf.formats.selection import AXES, Axis, Selection

BATCH = 8
"""Images at a time through a network, where there are many."""


@click.command()
@click.argument("model")
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="IMAGE...")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for the predictions.")
@click.option("--no-pictures", is_flag=True, help="Write no mask, overlay and maps.")
@click.option("--again", is_flag=True, help="Also predict images whose prediction is there already.")
@click.option("--frame", type=click.IntRange(1), help="Frame of a DICOM with several, from 1.")
@click.option(
    "--axis", type=click.Choice(AXES), default="axial", show_default=True, help="Plane of a NIfTI's slices."
)
@click.option("--slice", "place", type=click.IntRange(1), help="Slice of a NIfTI volume, from 1.")
@click.option(
    "--keep-identifiers",
    is_flag=True,
    help="Call DICOM files by their names, which may be the patients', instead of aliases.",
)
@click.option(
    "--dicom",
    type=click.Path(path_type=Path),
    help="Folder for DICOM segmentations and a structured report of each DICOM image. They belong to its "
    "patient and study, and so name the patient. Implies --again.",
)
def predict(
    model: str,
    images: tuple[Path, ...],
    out: Path,
    no_pictures: bool,
    again: bool,
    frame: int | None,
    axis: Axis,
    place: int | None,
    keep_identifiers: bool,
    dicom: Path | None,
) -> None:
    """Predict each IMAGE with MODEL: JSON, mask, overlay, maps of uncertainty and of doubt.

    IMAGE is a file (DICOM and NIfTI too, see docs/dicom.md), a folder of images, or a pattern in quotes
    ("site/**/*.png"). MODEL may also be an exported .tflite. Of several images predictions.csv is written
    too, and those that an earlier run with the same model has finished are passed over. For an image that
    cannot be read one line is printed; the others are still predicted, and the exit code is 1. Where --out
    holds input images, no existing file is replaced.
    """
    from uml_tf.runtime.threads import interpreter_threads, prefer_parallel_images

    prefer_parallel_images()
    from uml_tf.cli.models import open_predictor
    from uml_tf.formats.detection import is_picture
    from uml_tf.formats.identifiers import aliases
    from uml_tf.formats.output.result import check_source, model_name
    from uml_tf.formats.output.write import DicomWriter, check_object_folder
    from uml_tf.formats.reading import FileReading
    from uml_tf.runtime.errors import UmlError
    from uml_tf.runtime.image_arguments import find_images
    from uml_tf.runtime.intensity import Intensity
    from uml_tf.runtime.picture import Picture
    from uml_tf.runtime.predict_files import PredictOptions, predict_files
    from uml_tf.runtime.prediction_files import check_folders, plan_predictions
    from uml_tf.runtime.text_bar import TextBar

    found = find_images(images, out, is_picture)
    check_folders(found.folders, out)
    if dicom is not None:
        check_object_folder(found.folders, dicom)
    selection = Selection(frame, axis, place)
    names = aliases(found.paths, selection, keep_identifiers)
    plan_predictions(found.paths, out, aliases=names)  # before the wait for the model
    many = len(found.paths) > 1
    threads = interpreter_threads(len(found.paths))
    opened, _ = open_predictor(model, BATCH if many else 1, threads, is_compiled=many)

    def read(path: Path, intensity: Intensity, name: str) -> Picture:
        picture = FileReading(intensity, selection, keep_identifiers).read(path, name)
        if dicom is not None:
            check_source(picture, name)
        return picture

    def complain(line: str) -> None:
        click.echo(f"uml-tf: {line}", err=True)

    bar = TextBar(len(found.paths), sys.stderr, found.is_searched)
    writer = None
    if dicom is not None:
        name = model_name(model, opened.card, opened.identity)
        writer = DicomWriter(dicom, opened.card, name, bar.above(complain))
    options = PredictOptions(
        pictures=not no_pictures,
        again=again or dicom is not None,
        lines=not found.is_searched,
        read=read,
        aliases=names,
        beside=writer,
    )
    predict_files(opened, found.paths, out, bar.above(click.echo), bar.above(complain), options, bar.show)
    if writer is not None and writer.failed:
        raise UmlError(f"{len(writer.failed)} of {len(found.paths)} images could not be written as DICOM")
