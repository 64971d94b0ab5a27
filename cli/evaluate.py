"""``uml-tf evaluate``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from uml_tf.cli.display import TerminalDisplay
    from uml_tf.data.dataset import PreparedDataset, Row
    from uml_tf.evaluation.evaluate import Evaluation
    from uml_tf.runtime.model_card import ModelCard
    from uml_tf.runtime.prediction import Model


def _list_metrics(context: click.Context, parameter: click.Parameter, asked: bool) -> None:
    if asked and not context.resilient_parsing:
        from uml_tf.metrics.table import metrics_table

        click.echo(metrics_table(), nl=False)
        context.exit()


def _names(wanted: list[str]) -> list[str]:
    """For each wanted name one that can be a folder's, and that no other has: of equal ones, NAME-2, ..."""
    names: list[str] = []
    for one in wanted:
        plain = re.sub(r"[^\w.-]+", "-", one).strip(".-") or "data"
        name, number = plain, 1
        while name in names:
            number += 1
            name = f"{plain}-{number}"
        names.append(name)
    return names


def _as_asked(model: Model, passes: int | None, flips: bool, others: tuple[str, ...]) -> Model:
    """The model, or the mean of several predictions that an option asks for."""
    from uml_tf.cli.models import open_predictor
    from uml_tf.evaluation.combination import combined_model

    members = (open_predictor(other, batch_size=16)[0] for other in others)
    return combined_model([model, *members], passes, flips)


def _save_origin(
    folder: Path, model: str, card: ModelCard, dataset: PreparedDataset, found: Evaluation, mean_of: str
) -> None:
    """Writes what `uml-tf report` finds model, images and measures by."""
    from uml_tf.evaluation.origin import Origin, save_origin

    reference = str(Path(model).resolve()) if Path(model).is_file() else model
    if model == "last":
        reference = f"runs:/{card.run_id}/model"
    origin = Origin(
        reference,
        card,
        found.split,
        dataset.info.name,
        str(dataset.root.resolve()),
        dataset.fingerprint,
        mean_of,
    )
    save_origin(folder, origin, found.measures)


def _out_of_distribution(
    model: Model,
    dataset: PreparedDataset,
    found: Evaluation,
    kinds: dict[str, list[Row]],
    folder: Path,
    display: TerminalDisplay,
) -> Path:
    """Measures and writes how images of other kinds are told from the split; the written table."""
    from uml_tf.evaluation.foreign import compare_foreign, measure_images, measure_tiles, write_foreign

    tiles = measure_tiles(
        model, dataset, found.split, display.stage("reading shuffled tiles", len(found.measures))
    )
    compared = [compare_foreign("shuffled tiles", found.measures, tiles)]
    for name, images in kinds.items():
        other = measure_images(model, dataset, images, display.stage(f"reading {name}", len(images)))
        compared.append(compare_foreign(name, found.measures, other))
    return write_foreign(folder, compared)[0]


def _robustness(
    model: Model, dataset: PreparedDataset, split: str, folder: Path, display: TerminalDisplay
) -> Path:
    """Measures and writes how the model fares on corrupted images; the written table."""
    from uml_tf.evaluation.robustness import measure_robustness, steps_of_each_image, write_robustness

    total = steps_of_each_image() * len(dataset.split(split))
    return write_robustness(
        folder, measure_robustness(model, dataset, split, display.stage("corrupting images", total))
    )[0]


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
    "--out-of-distribution",
    "foreign",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Prepared data set or folder of images of another kind, to be told from those of the split; may be "
    "repeated. The split's own images as shuffled tiles are added.",
)
@click.option("--robustness", is_flag=True, help="Measure 8 corruptions of the images in 5 severities too.")
@click.option(
    "--passes", type=click.IntRange(min=2), help="Mean of N passes with dropout (Monte Carlo dropout)."
)
@click.option("--flips", is_flag=True, help="Mean of the answers for each image and its mirror image.")
@click.option(
    "--with", "others", multiple=True, metavar="MODEL", help="Mean with another MODEL; may be repeated."
)
@click.option(
    "--list-metrics",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_list_metrics,
    help="Print every metric with its direction, range and meaning, and exit.",
)
def evaluate(
    model: str,
    folders: tuple[Path, ...],
    split: str,
    out: Path,
    foreign: tuple[Path, ...],
    robustness: bool,
    passes: int | None,
    flips: bool,
    others: tuple[str, ...],
) -> None:
    """Measure MODEL on a split: metrics.json, metrics.md and figures, with 95 % intervals; images.csv.

    With several data sets each gets a folder of its own in OUT, beside overview.md and overview.csv.
    """
    if (passes is not None) + flips + bool(others) > 1:
        raise click.UsageError("found several of --passes, --flips and --with, expected one of them")
    from uml_tf.cli.display import TerminalDisplay
    from uml_tf.cli.models import open_predictor
    from uml_tf.data.dataset import PreparedDataset

    datasets = [PreparedDataset.open(folder) for folder in folders]
    counts = [len(dataset.split(split)) for dataset in datasets]
    from uml_tf.evaluation.foreign import foreign_rows

    # "." and ".." have no name of their own.
    named = _names([path.name.strip(".") or path.resolve().name for path in foreign])
    kinds = {name: foreign_rows(path, split) for name, path in zip(named, foreign, strict=True)}
    from uml_tf.evaluation.evaluate import check_classes
    from uml_tf.evaluation.evaluate import evaluate as measure
    from uml_tf.evaluation.origin import averaged_words
    from uml_tf.evaluation.overview import measures_by_name
    from uml_tf.evaluation.report import write_evaluation, write_evaluations
    from uml_tf.evaluation.sources import compared_groups, foreground_warnings

    predictor = _as_asked(open_predictor(model, batch_size=16)[0], passes, flips, others)
    card = predictor.card
    for dataset in datasets:
        check_classes(card, dataset)
    found, tables = {}, []
    with TerminalDisplay() as display:
        names = _names([dataset.info.name for dataset in datasets])
        for name, dataset, count in zip(names, datasets, counts, strict=True):
            title = f"evaluating {split}" if len(datasets) == 1 else f"evaluating {split} of {name}"
            found[name] = measure(predictor, dataset, split, display.stage(title, count))
            folder = out if len(datasets) == 1 else out / name
            if kinds:
                tables += [_out_of_distribution(predictor, dataset, found[name], kinds, folder, display)]
            if robustness:
                tables += [_robustness(predictor, dataset, split, folder, display)]
            dataset.hash_files(display.stage)  # for the file that tells what was measured
        groups = measures_by_name(found)
        for line in foreground_warnings(compared_groups(*groups.values()) if len(groups) == 1 else groups):
            display.warn(line)
    if len(datasets) == 1:
        (only,) = found.values()
        write_evaluation(out, only, card)
        table = out / "metrics.md"
    else:
        table = write_evaluations(out, found, card)[0]
    for dataset, (name, one) in zip(datasets, found.items(), strict=True):
        folder = out if len(datasets) == 1 else out / name
        _save_origin(folder, model, card, dataset, one, averaged_words(passes, flips, 1 + len(others)))
    for file in (table, *tables):
        click.echo(file.read_text(encoding="utf-8"))
    click.echo(f"written to {out}")
