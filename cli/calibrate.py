"""``uml-tf calibrate``."""

from __future__ import annotations

import re
from pathlib import Path

import click


@click.command()
@click.argument("model")
@click.option("--data", required=True, type=click.Path(path_type=Path), help="Prepared data set of the site.")
@click.option("--split", type=click.Choice(["train", "val", "test"]), default="val", show_default=True)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The new .keras or .tflite file.")
@click.option(
    "--risk-target",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.05,
    show_default=True,
    help="Largest share of wrong classes among the accepted images.",
)
@click.option(
    "--confidence",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.9,
    show_default=True,
    help="Confidence with which the site's images are to show that.",
)
def calibrate(model: str, data: Path, split: str, out: Path, risk_target: float, confidence: float) -> None:
    """Fit MODEL to another site's labelled images without training; MODEL itself stays as it is.

    Of a network: the temperatures of its probabilities, the confidence, the limit of familiarity, the
    threshold of acceptance, the mask quality and the intervals of what is measured. One that comes from the
    registry is registered as a new version. Of an exported .tflite the last three: the rest is in its graph,
    and cannot change.
    """
    from uml_tf.cli.quiet import import_tensorflow, quiet
    from uml_tf.data.dataset import PreparedDataset
    from uml_tf.runtime.errors import UmlError
    from uml_tf.tracking.opening import is_exported

    ending = ".tflite" if is_exported(model) else ".keras"
    if out.suffix != ending:
        raise UmlError(f"--out {out}: found '{out.suffix}', expected a {ending} file")
    if out.exists():
        raise UmlError(f"--out {out}: exists already, and no file is replaced; expected another --out")
    dataset = PreparedDataset.open(data)
    import_tensorflow()
    from uml_tf.training import calibrate as calibration

    if is_exported(model):
        with quiet(2):
            card = _calibrated_file(Path(model), out, dataset, split, risk_target, confidence)
        click.echo(
            "threshold, mask quality and intervals are new; temperatures, confidence and familiarity are in "
            "the file's graph"
        )
    else:
        from uml_tf.tracking.models import load_pair

        network, locator = load_pair(model)
        card = calibration.calibrate_network(network, locator, dataset, split, risk_target, confidence)
        calibration.save_network(network, locator, out)
        named = re.match(r"models:/([^/@]+)[/@]", model)
        if named:
            with quiet(2):
                uri = calibration.register_calibrated(out, network, named[1], model, dataset)
            click.echo(f"version   {uri}")
    accepts = f"none: {card.accept_reason}"
    if card.accept_above is not None:
        accepts = f"answers with a class confidence of at least {card.accept_above:.4f}"
    click.echo(f"accepts   {accepts}")
    click.echo(f"model     {out}")


def _calibrated_file(path, out, dataset, split, risk_target, confidence):  # type: ignore[no-untyped-def]
    from dataclasses import replace

    from uml_tf.export.metadata import add_metadata
    from uml_tf.runtime.device_model import DeviceModel
    from uml_tf.runtime.files import replacing
    from uml_tf.runtime.metadata import CONFIDENT_FORMAT, FORMAT
    from uml_tf.training.calibrate import calibrate_file

    model = DeviceModel(path)
    card = calibrate_file(model, dataset, split, risk_target, confidence)
    # An older number would let an older runtime misread what was fitted now.
    number = FORMAT if model.metadata.format >= CONFIDENT_FORMAT else model.metadata.format
    metadata = replace(model.metadata, card=card, format=number)
    with replacing(out) as temporary:
        Path(temporary).write_bytes(add_metadata(path.read_bytes(), metadata, names=False))
    return card
