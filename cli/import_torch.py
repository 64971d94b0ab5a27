"""``uml-tf import-torch``."""

from __future__ import annotations

from pathlib import Path

import click

from uml_tf.runtime.errors import UmlError


def _names(text: str | None, count: int, what: str, option: str) -> tuple[str, ...]:
    if text is None:
        return tuple(f"{what}_{i}" for i in range(count))
    names = tuple(name.strip() for name in text.split(","))
    if len(names) != count or len(set(names)) != count or not all(names):
        raise UmlError(f"{option}: found '{text}', expected {count} different names, separated by commas")
    return names


@click.command("import-torch")
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option("--preset", required=True, type=click.Choice(["released", "paper"]))
@click.option("--classes", required=True, type=click.IntRange(min=2), help="Image classes, K.")
@click.option("--seg-classes", required=True, type=click.IntRange(min=2), help="Pixel classes, C.")
@click.option("--image-size", default=256, show_default=True, help="Input side, divisible by 8.")
@click.option("--class-names", help="K names, separated by commas  [default: class_0, class_1...]")
@click.option("--pixel-names", help="C names, separated by commas  [default: region_0, region_1...]")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The .keras file to write.")
def import_torch(
    checkpoint: Path,
    preset: str,
    classes: int,
    seg_classes: int,
    image_size: int,
    class_names: str | None,
    pixel_names: str | None,
    out: Path,
) -> None:
    """Convert a PyTorch CHECKPOINT (.pth or .npz) of the authors' network to Keras.

    The checkpoint is read without PyTorch, and no code in it is executed. Division of the image by 255 is
    inside the imported model. It carries no referral threshold.
    """
    if out.suffix != ".keras":
        raise UmlError(f"--out: found '{out}', expected a name that ends in .keras")
    names = _names(class_names, classes, "class", "--class-names")
    pixels = _names(pixel_names, seg_classes, "region", "--pixel-names")
    from uml_tf.networks.torch.reader import read_state

    state = read_state(checkpoint)
    from uml_tf.cli.quiet import import_tensorflow

    import_tensorflow()
    from uml_tf.networks import UML
    from uml_tf.networks import preset as network_preset
    from uml_tf.networks.torch.names import load_state
    from uml_tf.runtime.files import replacing
    from uml_tf.runtime.model_card import ModelCard

    card = ModelCard(names, pixels, dataset=checkpoint.name)
    model = UML(network_preset(preset), classes, seg_classes, (image_size, image_size), card=card)
    report = load_state(model, state)
    if not report.fits:
        raise UmlError(f"{checkpoint}: is not a '{preset}' network: {report.describe()}")
    with replacing(out) as temporary:
        model.save(temporary)
    click.echo(f"{report.loaded} arrays loaded, {len(report.unused)} of unused parts ignored")
    click.echo(f"written to {out}")
