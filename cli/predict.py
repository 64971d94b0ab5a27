"""``uml-tf predict``."""

from __future__ import annotations

from pathlib import Path

import click

from uml_tf.formats.selection import AXES, Axis, Selection


@click.command()
@click.argument("model")
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for the predictions.")
@click.option("--frame", type=click.IntRange(1), help="Frame of a DICOM with several, from 1.")
@click.option(
    "--axis", type=click.Choice(AXES), default="axial", show_default=True, help="Plane of a NIfTI's slices."
)
@click.option("--slice", "place", type=click.IntRange(1), help="Slice of a NIfTI volume, from 1.")
@click.option(
    "--keep-identifiers",
    is_flag=True,
    help="Name files and lines after DICOM files, whose names may be the patients'.",
)
def predict(
    model: str,
    images: tuple[Path, ...],
    out: Path,
    frame: int | None,
    axis: Axis,
    place: int | None,
    keep_identifiers: bool,
) -> None:
    """Predict each of IMAGES with MODEL: JSON, mask, overlay, maps of uncertainty and of doubt.

    MODEL may also be an exported .tflite. IMAGES may be DICOM or NIfTI (docs/dicom.md). For an image that
    cannot be read one line is printed; the others are still predicted, and the exit code is 1. Where --out
    holds input images, no existing file is replaced.
    """
    from uml_tf.cli.models import open_predictor
    from uml_tf.formats.identifiers import aliases
    from uml_tf.formats.reading import FileReading
    from uml_tf.runtime.intensity import Intensity
    from uml_tf.runtime.picture import Picture
    from uml_tf.runtime.prediction_files import plan_predictions, predict_files

    selection = Selection(frame, axis, place)
    names = {} if keep_identifiers else aliases(images, selection)
    plan_predictions(images, out, names)  # before the wait for the model
    opened, _ = open_predictor(model, batch_size=1)

    def read(path: Path, intensity: Intensity, name: str) -> Picture:
        return FileReading(intensity, selection, keep_identifiers).read(path, name)

    def complain(line: str) -> None:
        click.echo(f"uml-tf: {line}", err=True)

    predict_files(opened, images, out, click.echo, complain, read, names)
