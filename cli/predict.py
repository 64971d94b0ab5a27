"""``uml-tf predict``."""

from __future__ import annotations

from pathlib import Path

import click

from uml_tf.errors import UmlError


def _stems(images: tuple[Path, ...]) -> list[str]:
    """What each image's files are called: its stem, its whole name where two stems are equal."""
    stems = [path.stem for path in images]
    names = [path.stem if stems.count(path.stem) == 1 else path.name for path in images]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise click.UsageError(f"IMAGE: found '{doubled[0]}' twice, expected different file names")
    return names


@click.command()
@click.argument("model")
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for the answers.")
def predict(model: str, images: tuple[Path, ...], out: Path) -> None:
    """Read each of IMAGES with MODEL: JSON, mask, overlay and uncertainty map.

    An image that cannot be read gets one line; the others are still done, and the exit code is 1.
    """
    stems = _stems(images)
    from uml_tf.cli.models import open_source

    from uml_tf.images import read_image
    from uml_tf.prediction import predict_image, write_prediction

    source, card = open_source(model, batch_size=1)
    failed = 0
    for path, stem in zip(images, stems, strict=True):
        try:
            image = read_image(path)
            answer = predict_image(source, image, card)
            write_prediction(out, stem, str(path), image, answer)
        except UmlError as error:
            click.echo(f"uml-tf: {error}", err=True)
            failed += 1
            continue
        probability = answer.class_probability[answer.class_name]
        action, reason = answer.decision
        click.echo(f"{path}: {answer.class_name} {probability:.3f}, {action}: {reason}")
    click.echo(f"{len(images) - failed} of {len(images)} images written to {out}")
    if failed:
        raise UmlError(f"{failed} of {len(images)} images could not be read")
