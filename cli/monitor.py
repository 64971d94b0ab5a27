"""``uml-tf monitor``."""

from __future__ import annotations

from pathlib import Path

import click

from uml_tf.runtime.errors import UmlError


@click.command()
@click.argument("tallies", nargs=-1, required=True, metavar="TALLY...", type=click.Path(path_type=Path))
@click.option("--model", required=True, help="The MODEL that the devices run, or the network behind it.")
@click.option(
    "--against",
    metavar="EVALUATION",
    help="Compare with this evaluation, e.g. of the site.  [default: the test split of the training]",
)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write the comparison as JSON.")
@click.option("--strict", is_flag=True, help="End with exit code 1 where anything has drifted.")
def monitor(
    tallies: tuple[Path, ...], model: str, against: str | None, out: Path | None, strict: bool
) -> None:
    """Compare the tallies of devices with what MODEL was measured on, and log it to MLflow.

    TALLY is a folder in which run.py keeps its counts, or one of its files. Printed are the population
    stability of doubt, familiarity, decisions and classes, and the daily shares with control limits.
    """
    from uml_tf.cli.quiet import import_tensorflow
    from uml_tf.tracking.card import fitted_anew, read_stated

    stated = read_stated(model)
    card = stated.card
    import_tensorflow()  # some metrics do, and it prints notices
    from uml_tf.reports.material import open_material
    from uml_tf.reports.monitoring import as_json, as_text, compare, counts_of_measures, read_tallies
    from uml_tf.runtime.files import write_json
    from uml_tf.tracking.monitoring import log_monitoring

    found = read_tallies(tallies, card.run_id, stated.device_identity)
    material = open_material(against or card.run_id)
    if material.card.run_id != card.run_id:
        raise UmlError(
            f"--against {against}: run_id: found '{material.card.run_id}', expected that of --model, "
            f"'{card.run_id}'"
        )
    if anew := fitted_anew(material.card, card):
        raise UmlError(
            f"--model {model}: found another {' and '.join(anew)} than "
            f"{f'--against {against}' if against else 'its training'} was measured with, expected --against "
            "EVALUATION of this very model, as `uml-tf evaluate` writes it"
        )
    compared = compare(counts_of_measures(material.measures, card.image_classes), found)
    click.echo(as_text(compared))
    data = as_json(compared)
    if out is not None:
        write_json(out, data)
    run_id = log_monitoring(card.run_id, model, data)
    click.echo(f"logged as run {run_id}")
    if strict and compared.alarms:
        raise UmlError(f"{len(compared.alarms)} signs of drift")
