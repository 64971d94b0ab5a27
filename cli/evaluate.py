"""``uml-tf evaluate``."""

from __future__ import annotations

from pathlib import Path

import click


def _list_metrics(context: click.Context, parameter: click.Parameter, asked: bool) -> None:
    if asked and not context.resilient_parsing:
        from uml_tf.metrics.table import metrics_table

        click.echo(metrics_table(), nl=False)
        context.exit()


@click.command()
@click.argument("model")
@click.option("--data", required=True, type=click.Path(path_type=Path), help="Prepared data set.")
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
def evaluate(model: str, data: Path, split: str, out: Path) -> None:
    """Measure MODEL on a split: metrics.json, metrics.md and figures, with 95 % intervals."""
    from uml_tf.cli.display import TerminalDisplay
    from uml_tf.cli.models import open_predictor
    from uml_tf.data.dataset import PreparedDataset

    dataset = PreparedDataset.open(data)
    rows = dataset.split(split)
    from uml_tf.evaluation.evaluate import check_classes
    from uml_tf.evaluation.evaluate import evaluate as measure
    from uml_tf.evaluation.report import write_evaluation

    predictor, card = open_predictor(model, batch_size=16)
    check_classes(card, dataset)
    with TerminalDisplay() as display:
        result = measure(predictor, dataset, split, display.stage(f"evaluating {split}", len(rows)))
    write_evaluation(out, result, card)
    click.echo((out / "metrics.md").read_text(encoding="utf-8"))
    click.echo(f"written to {out}")
