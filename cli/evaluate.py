"""``uml-tf evaluate``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from uml_tf.data.dataset import PreparedDataset


def _list_metrics(context: click.Context, parameter: click.Parameter, asked: bool) -> None:
    if asked and not context.resilient_parsing:
        from uml_tf.metrics.table import metrics_table

        click.echo(metrics_table(), nl=False)
        context.exit()


def _names(datasets: list[PreparedDataset]) -> list[str]:
    """A name for each data set that can be a folder's, and that no other has."""
    names: list[str] = []
    for dataset in datasets:
        plain = re.sub(r"[^\w.-]+", "-", dataset.info.name).strip(".-") or "data"
        same = [name for name in names if re.fullmatch(rf"{re.escape(plain)}(-\d+)?", name)]
        names.append(f"{plain}-{len(same) + 1}" if same else plain)
    return names


@click.command()
@click.argument("model")
@click.option(
    "--data",
    "folders",
    required=True,
    multiple=True,
    type=click.Path(path_type=Path),
    help="Prepared data set; may be repeated, to measure the model on several.",
)
@click.option("--split", type=click.Choice(["train", "val", "test"]), default="test", show_default=True)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for numbers and figures.")
@click.option(
    "--list-metrics",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_list_metrics,
    help="Print every metric with its direction, range and meaning, and exit.",
)
def evaluate(model: str, folders: tuple[Path, ...], split: str, out: Path) -> None:
    """Measure MODEL on a split: metrics.json, metrics.md and figures, with 95 % intervals; images.csv.

    With several data sets each gets a folder of its own in OUT, beside overview.md and overview.csv.
    """
    from uml_tf.cli.display import TerminalDisplay
    from uml_tf.cli.models import open_predictor
    from uml_tf.data.dataset import PreparedDataset

    datasets = [PreparedDataset.open(folder) for folder in folders]
    counts = [len(dataset.split(split)) for dataset in datasets]
    from uml_tf.evaluation.evaluate import check_classes
    from uml_tf.evaluation.evaluate import evaluate as measure
    from uml_tf.evaluation.overview import measures_by_name
    from uml_tf.evaluation.report import write_evaluation, write_evaluations
    from uml_tf.evaluation.sources import compared_groups, foreground_warnings

    predictor, card = open_predictor(model, batch_size=16)
    for dataset in datasets:
        check_classes(card, dataset)
    found = {}
    with TerminalDisplay() as display:
        for name, dataset, count in zip(_names(datasets), datasets, counts, strict=True):
            title = f"evaluating {split}" if len(datasets) == 1 else f"evaluating {split} of {name}"
            found[name] = measure(predictor, dataset, split, display.stage(title, count))
        groups = measures_by_name(found)
        for line in foreground_warnings(compared_groups(*groups.values()) if len(groups) == 1 else groups):
            display.warn(line)
    if len(datasets) == 1:
        (only,) = found.values()
        write_evaluation(out, only, card)
        table = out / "metrics.md"
    else:
        table = write_evaluations(out, found, card)[0]
    click.echo(table.read_text(encoding="utf-8"))
    click.echo(f"written to {out}")
