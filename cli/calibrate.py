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
    and cannot change. A locator that lies beside MODEL is copied beside the new file.
    """
    from uml_tf.cli.quiet import import_tensorflow, quiet
    from uml_tf.data.dataset import PreparedDataset
    from uml_tf.runtime.errors import UmlError
    from uml_tf.tracking.opening import is_exported, open_exported_pair

    ending = ".tflite" if is_exported(model) else ".keras"
    if out.suffix != ending:
        raise UmlError(f"--out {out}: found '{out.suffix}', expected a {ending} file")
    if out.exists():
        raise UmlError(f"--out {out}: exists already, and no file is replaced; expected another --out")
    dataset = PreparedDataset.open(data)
    import_tensorflow()
    from uml_tf.training import calibrate as calibration

    if is_exported(model):
        from uml_tf.export.new_card import check_beside, write_with_card

        with quiet(2):
            file, its_locator = open_exported_pair(model)
            check_beside(its_locator, out)
            card = calibration.calibrate_file(file, its_locator, dataset, split, risk_target, confidence)
            write_with_card(file, its_locator, card, out)
        click.echo(
            "threshold, mask quality and intervals are new; temperatures, confidence and familiarity are in "
            "the file's graph"
        )
    else:
        from uml_tf.tracking.models import load_pair

        network, locator = load_pair(model)
        calibration.check_beside(network, out)
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
