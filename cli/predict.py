"""``uml-tf predict``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("model")
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for the predictions.")
def predict(model: str, images: tuple[Path, ...], out: Path) -> None:
    """Predict each of IMAGES with MODEL: JSON, mask, overlay, maps of uncertainty and of doubt.

    MODEL may also be an exported .tflite. For an image that cannot be read one line is printed; the others
    are still predicted, and the exit code is 1. Where --out holds input images, no existing file is replaced.
    """
    from uml_tf.cli.models import open_predictor
    from uml_tf.runtime.prediction_files import plan_predictions, predict_files

    plan_predictions(images, out)  # before the wait for the model
    opened, _ = open_predictor(model, batch_size=1)

    def complain(line: str) -> None:
        click.echo(f"uml-tf: {line}", err=True)

    predict_files(opened, images, out, click.echo, complain)
