"""``uml-tf data``: a command for each registered converter, check, merge, cache and preview."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from uml_tf.cli.model_options import options_of, parse_options
from uml_tf.data.converter import CONVERTERS, Converter, ConvertOptions
from uml_tf.data.dataset import SPLITS, PreparedDataset
from uml_tf.data.near_duplicates import DEFAULT_DISTANCE, HASH_BITS
from uml_tf.runtime.errors import UmlError

if TYPE_CHECKING:
    from uml_tf.data.check import NearDuplicate
    from uml_tf.data.counts import DatasetCounts

_FOLDER = click.Path(path_type=Path)
_PAIRS_SHOWN = 10
_PROBLEMS_SHOWN = 20


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


def _print_problems(problems: list[str]) -> None:
    for problem in problems[:_PROBLEMS_SHOWN]:
        click.echo(f"uml-tf: {problem}", err=True)
    if len(problems) > _PROBLEMS_SHOWN:
        click.echo(f"uml-tf: and {len(problems) - _PROBLEMS_SHOWN} more left out", err=True)


_DRY_RUN_OPTIONS = (
    click.Option(
        ["--dry-run", "dry"],
        is_flag=True,
        help="Write no data set: print what it would hold, and write a contact sheet.",
    ),
    click.Option(
        ["--sheet"],
        type=_FOLDER,
        help="The PNG of the contact sheet  [default: OUT-sheet.png, beside OUT]",
    ),
)


def _dry_run(
    converter: Converter, raw: Path | None, out: Path, options: ConvertOptions, sheet: Path | None
) -> None:
    """Prints what a conversion would write, and writes its contact sheet."""
    from uml_tf.cli.display import TerminalDisplay
    from uml_tf.data.conversion import dry_run
    from uml_tf.data.counts import count
    from uml_tf.data.dry_run_sheet import write_dry_run_sheet

    with TerminalDisplay() as display:
        result = dry_run(converter, raw, options, display.stage)
    _print_problems(result.problems)
    masks = [pixels for pixels in result.pixels if pixels]
    _print_counts(count(result.rows, masks, result.info))
    for note in result.notes:
        click.echo(f"note: {note}")
    path = sheet or out.resolve().parent / f"{out.resolve().name}-sheet.png"
    write_dry_run_sheet(result, path)
    click.echo(f"contact sheet: {path}; no data set was written (--dry-run)")


def _converter_command(name: str, converter: Converter) -> click.Command:
    """The command of a registered converter: its folders, and the fields of its options."""

    def run(
        out: Path, raw: Path | None = None, dry: bool = False, sheet: Path | None = None, **values: Any
    ) -> None:
        from uml_tf.cli.display import TerminalDisplay
        from uml_tf.data.conversion import convert

        options = parse_options(converter.options, values)
        if dry:
            _dry_run(converter, raw, out, options, sheet)
            return
        if sheet is not None:
            raise click.UsageError("--sheet needs --dry-run")
        with TerminalDisplay() as display:
            dataset, problems = convert(converter, raw, out, options, display.stage)
        _print_problems(problems)
        _print_rows(dataset)

    parameters: list[click.Parameter] = [click.Argument(["out"], type=_FOLDER)]
    if converter.takes_raw:
        parameters = [click.Argument(["raw"], type=_FOLDER), *parameters, *_DRY_RUN_OPTIONS]
    return click.Command(
        name, params=[*parameters, *options_of(converter.options)], callback=run, help=converter.help
    )


for _name, _converter in CONVERTERS.items():
    data.add_command(_converter_command(_name, _converter))


def _print_counts(report: DatasetCounts) -> None:
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
    shares = ", ".join(
        f"{name} {100 * share:.1f} % (on {report.pixel_images[name]} masks)"
        for name, share in report.pixel_share.items()
    )
    masked = any(masks for _, masks in report.counts.values())
    console.print(f"masked pixels: {shares if masked else 'none, no image has a mask'}")
    for note in report.notes:
        click.echo(f"note: {note}")


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
    help="Images are near-duplicates when their 256-bit hashes differ in at most this many bits, and their "
    "detail agrees.",
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
        checking = display.stage("checking", len(dataset.rows))
        comparing = display.stage("comparing", len(dataset.rows))
        report = check_dataset(dataset, distance, checking, comparing=comparing)
    _print_counts(report)
    for problem in report.problems:
        click.echo(problem)
    if report.near_duplicates:
        _report_near_duplicates(dataset, report.near_duplicates, distance, picture)
    found = [f"{len(report.problems)} problems"] if report.problems else []
    if strict and report.near_duplicates:
        found.append(f"{len(report.near_duplicates)} pairs of near-duplicates on different splits (--strict)")
    if found:
        raise UmlError(f"{folder}: found {' and '.join(found)}")
    click.echo("no problems found")


@data.command()
@click.argument("folders", type=_FOLDER, nargs=-1, required=True, metavar="FOLDER FOLDER...")
@click.argument("out", type=_FOLDER)
@click.option("--name", help="Name of the merged data set  [default: the names of the sources]")
def merge(folders: tuple[Path, ...], out: Path, name: str | None) -> None:
    """Merge prepared data sets of the same classes into OUT.

    Splits and patients are kept; a column "dataset" names the source of each image. A source whose masks
    know only a part of the pixel classes gets 255, "not known", where they do not tell.
    """
    if len(folders) < 2:
        raise click.UsageError("expected at least two data sets before OUT")
    from uml_tf.cli.display import TerminalDisplay
    from uml_tf.data.merge import merge as merge_datasets

    datasets = [PreparedDataset.open(folder) for folder in folders]
    with TerminalDisplay() as display:
        progress = display.stage("merging", sum(len(dataset.rows) for dataset in datasets))
        merged, notes = merge_datasets(datasets, out, name, progress)
    for note in notes[:_PROBLEMS_SHOWN]:
        click.echo(f"note: {note}")
    if len(notes) > _PROBLEMS_SHOWN:
        click.echo(f"note: and {len(notes) - _PROBLEMS_SHOWN} more")
    for source in dict.fromkeys(row.dataset for row in merged.rows):
        rows = [row for row in merged.rows if row.dataset == source]
        click.echo(f"{source}: {len(rows)} images, {sum(bool(row.mask) for row in rows)} with a mask")
    _print_rows(merged)


@data.command()
@click.option("--list", "listing", is_flag=True, help="Print what is kept, and what it takes on the disk.")
@click.option("--clear", is_flag=True, help="Remove all of it; a later training decodes its images anew.")
def cache(listing: bool, clear: bool) -> None:
    """List or clear the decoded images that trainings keep on disk.

    They are in the folder that the environment variable UML_TF_CACHE names ("off" keeps none), else in the
    user's folder for caches.
    """
    from uml_tf.data.cache_folder import CACHE_VARIABLE, cache_folder
    from uml_tf.data.pixel_store import clear_stores, list_stores

    if listing == clear:
        raise click.UsageError("expected one of --list and --clear")
    root = cache_folder()
    if root is None:
        click.echo(f"no images are kept ({CACHE_VARIABLE} is off)")
        return
    if root.exists() and not root.is_dir():
        raise UmlError(f"{CACHE_VARIABLE}: {root}: found a file, expected a folder")
    if clear:
        try:
            freed, others = clear_stores(root)
        except OSError as error:
            raise UmlError(f"{root}: cannot be cleared ({error.strerror or error})") from error
        for folder in others:
            click.echo(f"{folder}: not removed: cannot be read as decoded images")
        click.echo(f"{root}: removed {freed / 1e6:.1f} MB")
        return
    stores, others = list_stores(root)
    for store in stores:
        click.echo(
            f"{store.folder.name}  {store.about}: {store.filled} of {store.count} images, "
            f"{store.bytes / 1e6:.1f} MB, used {store.days:.0f} days ago"
        )
    for folder in others:
        click.echo(f"{folder.name}  cannot be read as decoded images")
    click.echo(f"{root}: {len(stores)} data sets, {sum(store.bytes for store in stores) / 1e6:.1f} MB")


@data.command()
@click.argument("folder", type=_FOLDER)
@click.option("--out", type=_FOLDER, help="The PNG to write  [default: FOLDER/preview.png]")
@click.option("--config", type=_FOLDER, help="A training config, for its augmentation, image size and fit.")
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
    write_preview(dataset, path, settings.augmentation, settings.image_size, count, seed, settings.fit)
    click.echo(f"written to {path}")
