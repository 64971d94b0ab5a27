"""``uml-tf predict``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

BATCH = 8
"""Images at a time through a network, where there are many."""


@click.command()
@click.argument("model")
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="IMAGE...")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for the predictions.")
@click.option("--no-pictures", is_flag=True, help="Write no mask, overlay and maps.")
@click.option("--again", is_flag=True, help="Also predict images whose prediction is there already.")
def predict(model: str, images: tuple[Path, ...], out: Path, no_pictures: bool, again: bool) -> None:
    """Predict each IMAGE with MODEL: JSON, mask, overlay, maps of uncertainty and of doubt.

    IMAGE is a file, a folder of images, or a pattern in quotes ("site/**/*.png"). MODEL may also be an
    exported .tflite. Of several images predictions.csv is written too, and those that an earlier run with
    the same model has finished are passed over. For an image that cannot be read one line is printed; the
    others are still predicted, and the exit code is 1. Where --out holds input images, no existing file is
    replaced.
    """
    from uml_tf.runtime.threads import interpreter_threads, prefer_parallel_images

    prefer_parallel_images()
    from uml_tf.cli.models import open_predictor
    from uml_tf.runtime.image_arguments import find_images
    from uml_tf.runtime.predict_files import PredictOptions, predict_files
    from uml_tf.runtime.prediction_files import check_folders, plan_predictions
    from uml_tf.runtime.text_bar import TextBar

    found = find_images(images)
    check_folders(found.folders, out)
    plan_predictions(found.paths, out)  # before the wait for the model
    many = len(found.paths) > 1
    opened, _ = open_predictor(model, BATCH if many else 1, interpreter_threads(len(found.paths)))

    def complain(line: str) -> None:
        click.echo(f"uml-tf: {line}", err=True)

    options = PredictOptions(not no_pictures, again, lines=not found.is_searched)
    bar = TextBar(len(found.paths), sys.stderr, found.is_searched)
    predict_files(opened, found.paths, out, bar.above(click.echo), bar.above(complain), options, bar.show)
