"""``uml-tf report``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from uml_tf.data.dataset import PreparedDataset
    from uml_tf.reports.material import Material
    from uml_tf.reports.page import Choices


def _reason_for_none(material: Material, dataset: PreparedDataset | None) -> str:
    """Why no image can be shown, or ""."""
    if material.mean_of:
        return "the answers are means of several predictions"
    if dataset is None:
        return f"the data set is no longer at {material.root}; --data says where it is"
    if not material.is_measured_on(dataset):
        return f"the data set at {material.root} has changed since it was measured"
    return ""


def _moved(material: Material, root: Path) -> Material:
    """The material with its data set at another place.

    Raises:
        UmlError: another data set is there.
    """
    from dataclasses import replace

    from uml_tf.data.dataset import PreparedDataset
    from uml_tf.runtime.errors import UmlError

    found = PreparedDataset.open(root)
    if not material.is_measured_on(found):
        raise UmlError(
            f"--data {root}: fingerprint: found {found.fingerprint[:12]}, expected "
            f"{material.fingerprint[:12]}, that of the data set that was measured"
        )
    return replace(material, root=root)


def _choices(
    material: Material, dataset: PreparedDataset | None, columns: tuple[str, ...], images: bool
) -> Choices:
    from uml_tf.reports.groups import groupings_of
    from uml_tf.reports.page import Choices, shown_measures

    groupings = groupings_of(material, columns)
    reason = _reason_for_none(material, dataset) if images else ""
    if not images or reason or dataset is None:
        return Choices(groupings, None, reason)
    from uml_tf.cli.display import TerminalDisplay
    from uml_tf.cli.models import open_predictor
    from uml_tf.reports.examples import draw_overlays

    wanted = shown_measures(material)
    predictor, _ = open_predictor(material.model, batch_size=1)
    with TerminalDisplay() as display:
        done = display.stage("drawing images", len({m.image for m in wanted}))
        return Choices(groupings, draw_overlays(predictor, dataset, wanted, done))


@click.command()
@click.argument("source", metavar="RUN|EVALUATION")
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="The HTML file.")
@click.option(
    "--by",
    "columns",
    multiple=True,
    metavar="COLUMN",
    help="A table by a column of manifest.csv (site, device, sex, age, label, ...); may be repeated.",
)
@click.option("--no-images", is_flag=True, help="Leave all pictures out.")
@click.option("--data", type=click.Path(path_type=Path), help="Where the data set is now, if it was moved.")
def report(source: str, out: Path, columns: tuple[str, ...], no_images: bool, data: Path | None) -> None:
    """Write one page about a trained model, for people: it works offline, prints, and needs no other file.

    RUN is a run id or "last"; EVALUATION is a folder that `uml-tf evaluate` wrote.
    """
    from uml_tf.cli.quiet import import_tensorflow

    import_tensorflow()  # some metrics do, and it prints notices
    from uml_tf.reports.material import open_material

    material = open_material(source)
    if data is not None:
        material = _moved(material, data)
    from uml_tf.reports.page import render
    from uml_tf.runtime.files import write_text

    choices = _choices(material, material.images(), columns, not no_images)
    write_text(out, render(material, choices))
    if choices.no_images:
        click.echo(f"note: without pictures: {choices.no_images}", err=True)
    click.echo(f"written to {out}")
