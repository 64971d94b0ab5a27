"""``uml-tf data``: converters, check, preview."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from uml_tf.runtime.errors import UmlError

if TYPE_CHECKING:
    from uml_tf.data.check import CheckReport
    from uml_tf.data.dataset import PreparedDataset

_FOLDER = click.Path(path_type=Path)


@click.group()
def data() -> None:
    """Prepare, check and look at data sets."""


def _print_rows(dataset: PreparedDataset) -> None:
    from uml_tf.data.dataset import SPLITS

    for split in SPLITS:
        counts = dataset.class_counts(split)
        masks = sum(bool(row.mask) for row in dataset.rows if row.split == split)
        labels = ", ".join(f"{name or 'no label'} {count}" for name, count in sorted(counts.items()))
        click.echo(f"{split}: {sum(counts.values())} images, {masks} with a mask ({labels})")
    click.echo(f"written to {dataset.root}")


@data.command()
@click.argument("out", type=_FOLDER)
@click.option("--images", default=1000, show_default=True, help="Number of photographs, at least 10.")
@click.option("--seed", default=0, show_default=True, help="Equal seeds give equal files.")
@click.option("--size", default=192, show_default=True, help="Side in pixels.")
@click.option("--ungradable", is_flag=True, help="Degrade every photograph past grading (blur, glare).")
def phantom(out: Path, images: int, seed: int, size: int, ungradable: bool) -> None:
    """Draw synthetic fundus photographs with known disc, cup and diagnosis into OUT."""
    from uml_tf.cli.display import TerminalDisplay

    from uml_tf.data.converters.phantom import PhantomOptions, generate_phantoms

    options = PhantomOptions(images, seed, size, ungradable)
    with TerminalDisplay() as display:
        dataset = generate_phantoms(out, options, display.stage("drawing phantoms", images))
    _print_rows(dataset)


@data.command()
@click.argument("raw", type=_FOLDER)
@click.argument("out", type=_FOLDER)
@click.option("--seed", default=0, show_default=True, help="Seed of the split.")
@click.option("--strict", is_flag=True, help="Stop at a file that does not fit, instead of leaving it out.")
@click.option(
    "--empty-normal-masks",
    is_flag=True,
    help="Give a label-only normal image an empty mask: by definition it has no lesion.",
)
@click.option(
    "--split",
    nargs=3,
    type=float,
    default=(0.7, 0.1, 0.2),
    show_default=True,
    help="Shares of train, val and test.",
)
def busi(
    raw: Path,
    out: Path,
    seed: int,
    strict: bool,
    empty_normal_masks: bool,
    split: tuple[float, float, float],
) -> None:
    """Convert the BUSI breast-ultrasound folders RAW into the prepared form OUT."""
    from uml_tf.data.converters.busi import BusiOptions, convert_busi

    if abs(sum(split) - 1) > 1e-6 or min(split) <= 0:
        raise click.UsageError(f"--split: found {split}, expected three positive shares that sum to 1")
    dataset, problems = convert_busi(raw, out, BusiOptions(seed, split, strict, empty_normal_masks))
    for problem in problems:
        click.echo(f"uml-tf: {problem}", err=True)
    _print_rows(dataset)


def _print_report(report: CheckReport) -> None:
    from rich.console import Console
    from rich.table import Table

    from uml_tf.data.dataset import SPLITS

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


@data.command()
@click.argument("folder", type=_FOLDER)
def check(folder: Path) -> None:
    """Verify every file and rule of the prepared data set FOLDER; exit 1 if anything is wrong."""
    from uml_tf.cli.display import TerminalDisplay

    from uml_tf.data.check import check_dataset
    from uml_tf.data.dataset import PreparedDataset

    dataset = PreparedDataset.open(folder)
    with TerminalDisplay() as display:
        report = check_dataset(dataset, display.stage("checking", len(dataset.rows)))
    _print_report(report)
    for problem in report.problems:
        click.echo(problem)
    if report.problems:
        raise UmlError(f"{folder}: {len(report.problems)} problems found")
    click.echo("no problems found")


@data.command()
@click.argument("folder", type=_FOLDER)
@click.option("--out", type=_FOLDER, help="The PNG to write  [default: FOLDER/preview.png]")
@click.option("--config", type=_FOLDER, help="A training config, for its augmentation and image size.")
@click.option("--count", default=12, show_default=True, help="Number of images.")
@click.option("--seed", default=0, show_default=True, help="Seed of choice and augmentation.")
def preview(folder: Path, out: Path | None, config: Path | None, count: int, seed: int) -> None:
    """Write a contact sheet of FOLDER: images with mask outlines, as they are and augmented."""
    from uml_tf.cli.quiet import import_tensorflow

    from uml_tf.data.dataset import PreparedDataset
    from uml_tf.training.config import load_config

    settings = load_config(config, {})
    dataset = PreparedDataset.open(folder)
    import_tensorflow()
    from uml_tf.data.preview import preview as write_preview

    path = out or folder / "preview.png"
    write_preview(dataset, path, settings.augmentation, settings.image_size, count, seed)
    click.echo(f"written to {path}")
