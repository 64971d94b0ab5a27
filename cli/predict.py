"""``uml-tf predict``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("model")
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for the answers.")
def predict(model: str, images: tuple[Path, ...], out: Path) -> None:
    """Read each of IMAGES with MODEL: JSON, mask, overlay and uncertainty map.

    MODEL may also be an exported .tflite. An image that cannot be read gets one line; the others are
    still done, and the exit code is 1.
    """
    from uml_tf.cli.models import open_predictor

    from uml_tf.runtime.prediction_files import predict_files, stems

    stems(images)  # before the wait for the model
    source, card = open_predictor(model, batch_size=1)

    def complain(line: str) -> None:
        click.echo(f"uml-tf: {line}", err=True)

    predict_files(source, card, images, out, click.echo, complain)
