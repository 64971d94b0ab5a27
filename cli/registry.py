"""``uml-tf registry``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from uml_tf.runtime.errors import UmlError

if TYPE_CHECKING:
    from uml_tf.data.dataset import PreparedDataset
    from uml_tf.tracking.registry import Version

_DATA = click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Compare on this prepared data set.  [default: the one that both were trained on]",
)
_SPLIT = click.option(
    "--split",
    type=click.Choice(["train", "val", "test"]),
    default="val",
    show_default=True,
    help="Compare on this split; the test split is kept for the figures that are reported.",
)
_WIDTH = 140
_ARROWS = {"higher": "↑", "lower": "↓"}
_FIDELITY = (
    ("class_agreement", "class agreement"),
    ("mask_agreement", "mask agreement"),
    ("class_uncertainty_rho", "class rho"),
    ("mask_uncertainty_rho", "mask rho"),
    ("change_class_failure_auroc_confidence", "failure AUROC change"),
    ("change_class_failure_auroc", "failure AUROC change by vacuity"),
)


@click.group()
def registry() -> None:
    """Keep, compare and promote named versions of trained networks."""


def _opened(data: Path | None) -> PreparedDataset | None:
    from uml_tf.data.dataset import PreparedDataset

    return PreparedDataset.open(data) if data else None


def _name_of(version: Version) -> str:
    return f"{version.name} version {version.number}"


@registry.command()
@click.argument("run")
@click.option("--name", required=True, help="Name of the registered model.")
def add(run: str, name: str) -> None:
    """Register the network of RUN (a run id, or last) as the next version of a name."""
    from uml_tf.cli.quiet import quiet
    from uml_tf.tracking.registry import add_version

    with quiet(2):  # MLflow reports each registration in its own words
        version, new = add_version(run, name)
    click.echo(f"{_name_of(version)}: {'registered' if new else 'registered already'}, {version.uri}")


def _cell(version: Version, metric: str) -> str:
    """A metric of a version; of a region's metric a line for each region.

    A version of an older uml-tf, which measured no confidence, has the vacuity's, and says so.
    """
    from uml_tf.metrics.scores import CHIEF_SCORE

    if metric in version.metrics:
        return f"{version.metrics[metric]:.3f}"
    by_vacuity = metric.removesuffix(f"_{CHIEF_SCORE}")
    if by_vacuity in version.metrics:
        return f"vacuity {version.metrics[by_vacuity]:.3f}"
    regions = {
        n.removeprefix(f"{metric}_"): v for n, v in version.metrics.items() if n.startswith(f"{metric}_")
    }
    return "\n".join(f"{region} {value:.3f}" for region, value in regions.items())


def _exports(version: Version) -> str:
    lines = []
    for kind, numbers in version.exports.items():
        rho = "/".join(
            f"{numbers.get(f'{part}_uncertainty_rho', float('nan')):.4f}" for part in ("class", "mask")
        )
        size = sum(v for n, v in numbers.items() if n.startswith("bytes_model")) / 1000
        lines.append(f"{kind} rho {rho} {size:.0f} kB{' (refused)' if numbers.get('kept') == 0 else ''}")
    return "\n".join(lines)


@registry.command("list")
@click.option("--name", help="Only this registered model.")
def list_versions(name: str | None) -> None:
    """List every version: alias, metrics, data, code, and the fidelity of its exports."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    from uml_tf.metrics.chief import headlines
    from uml_tf.tracking.registry import find_version, versions

    found = versions(name)
    if name and not found:
        find_version(name)  # raises, with the names that there are
    columns = headlines()
    headers = (f"{c.replace('_', chr(10))} {_ARROWS[metric.better]}" for c, metric in columns.items())
    caption = "; ".join(f"{arrow} {better} is better" for better, arrow in _ARROWS.items())
    table = Table("model", *headers, "data", "code", "exports", box=SIMPLE, caption=caption)
    for v in found:
        called = "\n".join([f"{v.name} {v.number}", *(f"@{alias}" for alias in v.aliases)])
        cells = (_cell(v, column) for column in columns)
        table.add_row(called, *cells, v.fingerprint[:8], v.git_commit[:8], _exports(v))
    console = Console()
    console.width = max(console.width, _WIDTH)  # a wrapped number cannot be read
    console.print(table)


@registry.command()
@click.argument("name")
@click.argument("version", required=False)
def show(name: str, version: str | None) -> None:
    """Show everything about a VERSION (number or alias; the newest by default) of NAME."""
    from uml_tf.tracking.registry import find_version

    v = find_version(name, version)
    width = max(32, *map(len, v.metrics), *map(len, v.exports))
    for label, text in (
        ("model", _name_of(v)),
        ("alias", ", ".join(v.aliases) or "none"),
        ("MODEL", v.uri),
        ("run", v.run_id),
        ("data", v.fingerprint),
        ("code", v.git_commit),
    ):
        click.echo(f"{label:{width}s} {text}")
    for metric, value in sorted(v.metrics.items()):
        click.echo(f"{metric:{width}s} {value:.4f}")
    for kind, numbers in v.exports.items():
        click.echo(f"{kind:{width}s} {v.export_uris.get(kind, 'no file was kept')}")
        for key, label in _FIDELITY:
            if key in numbers:
                click.echo(f"  {label:{width - 2}s} {numbers[key]:.4f}")
        for key, value in numbers.items():
            if key.startswith("bytes_"):
                click.echo(f"  {key:{width - 2}s} {value:.0f}")


@registry.command()
@click.argument("name")
@click.argument("version")
@click.option("--alias", default="champion", show_default=True)
@click.option("--force", is_flag=True, help="Promote a version that is not shown to be as good, too.")
@click.option(
    "--margin",
    "margins",
    multiple=True,
    metavar="METRIC=VALUE",
    help="How much worse it may be in a decisive metric; may be repeated.  [default: see docs/metrics.md]",
)
@_DATA
@_SPLIT
def promote(
    name: str, version: str, alias: str, force: bool, margins: tuple[str, ...], data: Path | None, split: str
) -> None:
    """Give VERSION of NAME an alias, if it is shown to be at least as good as the version that has it.

    Both are measured on the same images, which neither was trained on. The 95 % interval of the change,
    over resampled subjects, must hold no loss of the margin or more in any decisive metric: balanced
    accuracy, failure detection by the confidence, mean Dice. Otherwise the command ends with exit code 1.
    """
    from uml_tf.cli.display import TerminalDisplay
    from uml_tf.cli.quiet import import_tensorflow
    from uml_tf.evaluation.non_inferiority import parse_margins
    from uml_tf.tracking.registry import find_version

    allowed, challenger, given = parse_margins(margins), find_version(name, version), _opened(data)
    import_tensorflow()
    from uml_tf.evaluation.comparison import as_markdown
    from uml_tf.tracking.promotion import Guard
    from uml_tf.tracking.promotion import promote as run_promotion

    with TerminalDisplay() as display:
        result = run_promotion(challenger, alias, Guard(given, split, allowed, force), display.stage)
    if result.found and result.champion:
        click.echo(
            as_markdown(result.found, (f"version {result.champion.number}", f"version {challenger.number}"))
        )
    for reason in result.reasons:
        click.echo(f"not shown to be at least as good: {reason}", err=True)
    if not result.promoted:
        raise UmlError(f"{_name_of(challenger)}: not promoted to '{alias}'; --force promotes it all the same")
    click.echo(f"{_name_of(challenger)} is '{alias}' now: models:/{name}@{alias}")


@registry.command()
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@_DATA
@_SPLIT
@click.option("--out", type=click.Path(path_type=Path), help="Write comparison.md there.")
def compare(first: str, second: str, data: Path | None, split: str, out: Path | None) -> None:
    """Compare two MODELs on the same images: each metric and its change, with a 95 % interval."""
    from uml_tf.cli.display import TerminalDisplay
    from uml_tf.cli.models import open_predictor

    given = _opened(data)
    (a, card_a), (b, card_b) = (open_predictor(model, batch_size=16) for model in (first, second))
    from uml_tf.evaluation.comparison import as_markdown, differences, measure_both
    from uml_tf.runtime.files import write_text
    from uml_tf.tracking.promotion import check_held_out, common_dataset

    dataset = common_dataset(card_a, card_b, given)
    try:
        check_held_out({"A": card_a, "B": card_b}, dataset, split)
    except UmlError as error:
        click.echo(f"note: {error}", err=True)
    with TerminalDisplay() as display:
        done = display.stage(f"comparing on {split}", len(dataset.split(split)))
        table = as_markdown(differences(*measure_both((a, b), dataset, split, done)), ("A", "B"))
    click.echo(f"A {first}\nB {second}\n\n{table}")
    if out:
        write_text(out / "comparison.md", f"A: {first}\n\nB: {second}\n\n{table}")


@registry.command()
@click.argument("model")
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="The folder.")
@click.option(
    "--by",
    "columns",
    multiple=True,
    metavar="COLUMN",
    help="Groups by a column of manifest.csv; may be repeated. Classes and sources are always shown.",
)
def card(model: str, out: Path, columns: tuple[str, ...]) -> None:
    """Write the model card of MODEL, model-card.md and model-card.json, from its training run.

    Intended use, data, metrics with intervals, subgroups, thresholds and their promise, limits, hashes.
    """
    from uml_tf.cli.quiet import import_tensorflow
    from uml_tf.tracking.card import fitted_anew, read_stated

    stated = read_stated(model)
    if not stated.card.run_id:
        raise UmlError(
            f"model '{model}': found no training run in its card, expected a model of `uml-tf train`"
        )
    import_tensorflow()  # some metrics do, and it prints notices
    from uml_tf.reports.calibrated import without_decisions
    from uml_tf.reports.card import card_data, write_card
    from uml_tf.reports.groups import LABEL, groupings_of
    from uml_tf.reports.material import open_material

    material = open_material(stated.card.run_id)
    if fitted_anew(material.card, stated.card):
        material = without_decisions(material)
    groupings = groupings_of(material, (LABEL, *columns))
    for file in write_card(out, card_data(model, stated, material, groupings), material, groupings):
        click.echo(f"written: {file}")
