"""``uml-tf data``: a command for each registered converter, check and preview."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from uml_tf.cli.model_options import options_of, parse_options
from uml_tf.data.converter import CONVERTERS, Converter
from uml_tf.data.dataset import SPLITS, PreparedDataset
from uml_tf.data.near_duplicates import DEFAULT_DISTANCE, HASH_BITS
from uml_tf.runtime.errors import UmlError

if TYPE_CHECKING:
    from uml_tf.data.check import CheckReport, NearDuplicate

_FOLDER = click.Path(path_type=Path)
_PAIRS_SHOWN = 10


@click.group()
def data() -> None:
    """Prepare, check and look at data sets."""


def _print_rows(dataset: PreparedDataset) -> None:
    for split in SPLITS:
        counts = dataset.class_counts(split)
        masks = sum(bool(row.mask) for row in dataset.rows if row.split == split)
        labels = ", ".join(f"{name or 'no label'} {count}" for name, count in sorted(counts.items()))
        click.echo(f"{split}: {sum(counts.values())} images, {masks} with a mask ({labels})")
    click.echo(f"written to {dataset.root}")


def _converter_command(name: str, converter: Converter) -> click.Command:
    """The command of a registered converter: its folders, and the fields of its options."""

    def run(out: Path, raw: Path | None = None, **values: Any) -> None:
        from uml_tf.cli.display import TerminalDisplay
        from uml_tf.data.conversion import convert

        options = parse_options(converter.options, values)
        with TerminalDisplay() as display:
            dataset, problems = convert(converter, raw, out, options, display.stage)
        for problem in problems:
            click.echo(f"uml-tf: {problem}", err=True)
        _print_rows(dataset)

    folders = ["raw", "out"] if converter.takes_raw else ["out"]
    arguments: list[click.Parameter] = [click.Argument([folder], type=_FOLDER) for folder in folders]
    return click.Command(
        name, params=[*arguments, *options_of(converter.options)], callback=run, help=converter.help
    )


for _name, _converter in CONVERTERS.items():
    data.add_command(_converter_command(_name, _converter))


def _print_report(report: CheckReport) -> None:
    from rich.console import Console
    from rich.table import Table

    labels = sorted({label for _, label in report.counts})
    table = Table("split", "subjects", *[name or "no label" for name in labels])
    for split in SPLITS:
        cells = []
        for label in labels:
            images, masks = report.counts.get((split, label), (0, 0))
            cells.append(f"{images} ({masks} with mask)")
        table.add_row(split, str(report.subjects[split]), *cells)
    console = Console(soft_wrap=True)
    console.print(table)
    shares = ", ".join(f"{name} {100 * share:.1f} %" for name, share in report.pixel_share.items())
    console.print(f"masked pixels: {shares}")
    for note in report.notes:
        click.echo(f"note: {note}")
    for problem in report.problems:
        click.echo(problem)


def _report_near_duplicates(
    dataset: PreparedDataset, found: list[NearDuplicate], distance: int, picture: Path | None
) -> None:
    """Prints the pairs and writes their picture."""
    from uml_tf.data.near_duplicate_sheet import write_near_duplicates

    click.echo(
        f"warning: {len(found)} pairs of near-duplicate images are on different splits "
        f"(hashes differ in at most {distance} of {HASH_BITS} bits):"
    )
    for pair in found[:_PAIRS_SHOWN]:
        click.echo(
            f"  {pair.first.split} {pair.first.image}, {pair.second.split} {pair.second.image}: "
            f"{pair.distance} bits"
        )
    if len(found) > _PAIRS_SHOWN:
        click.echo(f"  and {len(found) - _PAIRS_SHOWN} more")
    root = dataset.root.resolve()
    path = picture or root.parent / f"{root.name}-near-duplicates.png"
    try:
        write_near_duplicates(dataset, found, path)
    except UmlError as error:
        if picture:
            raise
        # Nobody asked for this place: a read-only disk is no fault of the data set.
        click.echo(f"note: {error}; --pairs names another place")
    else:
        click.echo(f"picture of the pairs: {path} (copies of an image belong on one split)")


@data.command()
@click.argument("folder", type=_FOLDER)
@click.option("--strict", is_flag=True, help="Near-duplicates on different splits are an error.")
@click.option(
    "--near-duplicate-distance",
    "distance",
    type=click.IntRange(0, HASH_BITS),
    default=DEFAULT_DISTANCE,
    show_default=True,
    help="Images are near-duplicates when their 256-bit hashes differ in at most this many bits. The default "
    "suits ultrasound, where copies differ by cursors and crops; photographs that are all framed alike, such "
    "as those of the fundus, need less.",
)
@click.option(
    "--pairs",
    "picture",
    type=_FOLDER,
    help="The PNG for near-duplicate pairs  [default: FOLDER-near-duplicates.png, beside FOLDER]",
)
def check(folder: Path, strict: bool, distance: int, picture: Path | None) -> None:
    """Verify every file and rule of the prepared data set FOLDER; exit 1 if anything is wrong.

    Near-duplicates on different splits are a warning, with a picture of the pairs.
    """
    from uml_tf.cli.display import TerminalDisplay
    from uml_tf.data.check import check_dataset

    dataset = PreparedDataset.open(folder)
    with TerminalDisplay() as display:
        report = check_dataset(dataset, distance, display.stage("checking", len(dataset.rows)))
    _print_report(report)
    if report.near_duplicates:
        _report_near_duplicates(dataset, report.near_duplicates, distance, picture)
    found = [f"{len(report.problems)} problems"] if report.problems else []
    if strict and report.near_duplicates:
        found.append(f"{len(report.near_duplicates)} pairs of near-duplicates on different splits (--strict)")
    if found:
        raise UmlError(f"{folder}: found {' and '.join(found)}")
    click.echo("no problems found")


@data.command()
@click.argument("folder", type=_FOLDER)
@click.option("--out", type=_FOLDER, help="The PNG to write  [default: FOLDER/preview.png]")
@click.option("--config", type=_FOLDER, help="A training config, for its augmentation and image size.")
@click.option("--count", type=click.IntRange(1), default=12, show_default=True, help="Number of images.")
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of choice and augmentation."
)
def preview(folder: Path, out: Path | None, config: Path | None, count: int, seed: int) -> None:
    """Write a contact sheet of FOLDER: images with mask outlines, as they are and augmented."""
    from uml_tf.cli.quiet import import_tensorflow
    from uml_tf.training.config import load_config

    settings = load_config(config, {})
    dataset = PreparedDataset.open(folder)
    import_tensorflow()
    from uml_tf.data.preview import preview as write_preview

    path = out or folder / "preview.png"
    write_preview(dataset, path, settings.augmentation, settings.image_size, count, seed)
    click.echo(f"written to {path}")
