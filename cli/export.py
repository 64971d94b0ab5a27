"""``uml-tf export``. Its targets, kinds and their options come from ``uml_tf.export.kinds``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from uml_tf.export.kind import ExportKind, Target
from uml_tf.export.kinds import KINDS, check_packages, input_type_of, kinds_of, targets
from uml_tf.export.tolerance import Tolerance, tolerance_help
from uml_tf.runtime.errors import UmlError

_METRICS = ("accuracy", "class_failure_auroc_confidence")


class _ExportCommand(click.Command):
    """Lists the kinds below the options."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Kinds"):
            formatter.write_dl([(kind.options, kind.help) for _, kind in KINDS.items()])


def _settings() -> dict[str, list[Target]]:
    """Every option that chooses among kinds, e.g. "quantize" -> the targets that have it."""
    found: dict[str, list[Target]] = {}
    for target in targets():
        found.setdefault(target.setting, []).append(target)
    return found


def _kind_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds one flag per target and one option per setting."""
    for setting, owners in reversed(_settings().items()):
        lines = [f"Kind of --{t.name}: {_values(t)}.  [default: {t.default}]" for t in owners]
        choice = click.Choice(list(dict.fromkeys(k.value for t in owners for k in kinds_of(t))))
        command = click.option(f"--{setting}", type=choice, help=" ".join(lines))(command)
    for target in reversed(targets()):
        command = click.option(f"--{target.name}", is_flag=True, help=target.help)(command)
    return command


def _values(target: Target) -> str:
    return ", ".join(kind.value for kind in kinds_of(target))


def _key(option: str) -> str:
    return option.replace("-", "_")


def _target(options: dict[str, Any]) -> Target:
    given = [target for target in targets() if options[_key(target.name)]]
    if len(given) != 1:
        found = " and ".join(f"--{target.name}" for target in given) or "none of them"
        expected = ", ".join(f"--{target.name}" for target in targets())
        raise click.UsageError(f"found {found}, expected one of {expected}")
    return given[0]


def _kind(options: dict[str, Any]) -> ExportKind:
    """The kind that the options select, after refusing options that its target would ignore."""
    target = _target(options)
    special = dict.fromkeys([*_settings(), *(name for t in targets() for name in t.options)])
    for name in special:
        if options[_key(name)] not in (None, False) and name not in (target.setting, *target.options):
            raise click.UsageError(f"--{name}: not an option of --{target.name}")
    value = options[_key(target.setting)] or target.default
    for kind in kinds_of(target):
        if kind.value == value:
            return kind
    raise click.UsageError(f"--{target.setting}: found {value}, --{target.name} takes {_values(target)}")


def _check_calibration(kind: ExportKind) -> None:
    """Refuses options of the calibration for a kind that would ignore them."""
    if kind.calibrated:
        return
    given = click.get_current_context().get_parameter_source
    for name in ("calibration", "calibration-images"):
        if given(_key(name)) is not ParameterSource.DEFAULT:
            others = [k.value for k in kinds_of(kind.target) if k.calibrated]
            expected = f", expected --{kind.target.setting} {' or '.join(others)}" if others else ""
            raise click.UsageError(f"--{name}: not an option of {kind.options}{expected}")


def _check_data(options: dict[str, Any]) -> None:
    """Refuses data that do not exist, before the wait for TensorFlow."""
    from uml_tf.data.dataset import PreparedDataset
    from uml_tf.export.calibration import calibration_files

    if options["verify"]:
        PreparedDataset.open(options["verify"])
    if options["calibration"]:
        calibration_files(options["calibration"], options["calibration_images"], click.echo)


@click.command(cls=_ExportCommand)
@click.argument("model")
@_kind_options
@click.option("--out", required=True, type=click.Path(path_type=Path), help="A new folder.")
@click.option(
    "--calibration",
    type=click.Path(path_type=Path),
    help="Training images for int8: a data set or a folder.  [default: the model's training split]",
)
@click.option(
    "--calibration-images",
    type=click.IntRange(1),
    default=200,
    show_default=True,
    help="At most so many of them.",
)
@click.option(
    "--input",
    type=click.Choice(list(dict.fromkeys(t for _, kind in KINDS.items() for t in kind.input_types))),
    help="Type of the file's input.  [default: the kind's own, mostly float32]",
)
@click.option("--batch", type=click.IntRange(1), default=1, show_default=True, help="Fixed batch size.")
@click.option(
    "--verify",
    type=click.Path(path_type=Path),
    help="Data set on which the written file is compared with the network.  [default: the model's own]",
)
@click.option("--verify-split", type=click.Choice(["train", "val", "test"]), default="val", show_default=True)
@click.option(
    "--tolerance",
    multiple=True,
    metavar="NAME=NUMBER",
    help=f"What must be kept; may be repeated.  [default: {tolerance_help()}]",
)
@click.option("--force", is_flag=True, help="Keep a file past the tolerance; its metadata say so.")
@click.option(
    "--example",
    type=click.Path(path_type=Path),
    help="The bundle's example image.  [default: the first compared]",
)
@click.option(
    "--web/--no-web",
    default=None,
    help="The bundle's page for the browser; npm fetches LiteRT.js for it.  [default: where possible]",
)
@click.option("--sbom", is_flag=True, help="The bundle's software bill of materials, in CycloneDX.")
@click.option(
    "--allow-deferred-build",
    is_flag=True,
    help="Exit 0 where no engine can be built and the ONNX file with the build command is written instead.",
)
def export(model: str, tolerance: tuple[str, ...], **options: Any) -> None:
    """Write MODEL for a device and compare the written file with the network on held-out images.

    Past the tolerance, only the fidelity report is written, and the exit code is 1.
    """
    kind = _kind(options)
    _check_calibration(kind)
    check_packages(kind)
    input_type = input_type_of(kind, options["input"])
    bounds = Tolerance.parse(tolerance)
    from uml_tf.cli.display import TerminalDisplay
    from uml_tf.cli.quiet import import_tensorflow, quiet

    _check_data(options)
    if options["sbom"]:
        from uml_tf.export.sbom import check_sbom_possible

        check_sbom_possible()
    import_tensorflow()
    from uml_tf.export.job import ExportJob
    from uml_tf.export.run import export as run_export
    from uml_tf.tracking.models import fixed_reference, load_pair

    model = fixed_reference(model)  # a training that ends meanwhile is another "last"
    job = ExportJob(
        model=model,
        out=options["out"],
        kind=kind.name,
        input_type=input_type,
        batch=options["batch"],
        calibration=options["calibration"],
        calibration_images=options["calibration_images"],
        verify=options["verify"],
        split=options["verify_split"],
        tolerance=bounds,
        force=options["force"],
        example=options["example"],
        web=options["web"],
        sbom=options["sbom"],
    )
    network, locator = load_pair(model)
    # The display writes to a descriptor of its own; the converters write to these two.
    with TerminalDisplay() as display, quiet(1, 2):
        result = run_export(network, job, display.stage, locator)
    _report(result, kind, options)


def _number(value: float | None) -> str:
    return "not defined here" if value is None else f"{value:.4f}"


def _tolerance(check: Any) -> str:
    """What was found, its 95 % interval if it is judged by one, and what is required."""
    found = _number(check.found)
    if check.interval is not None:
        found += f" ({check.interval[0]:.4f} to {check.interval[1]:.4f})"
    return f"{found}, at {check.side} {check.bound:g}"


def _report(result: Any, kind: ExportKind, options: dict[str, Any]) -> None:
    numbers = result.numbers
    for check in result.checks:
        click.echo(f"{check.name:36s} {_tolerance(check)}")
    for name, total in (("class_flips", "images"), ("accepted_flips", "accepted_images")):
        click.echo(f"{name:36s} {numbers[name]:.0f} of {numbers[total]:.0f}")
    for name in [*_METRICS, *(n.removeprefix("file_") for n in numbers if n.startswith("file_dice_"))]:
        of_file, of_network = (_number(numbers.get(f"{part}_{name}")) for part in ("file", "network"))
        change = numbers.get(f"change_{name}")
        difference = "" if change is None else f", {change:+.4f}"
        click.echo(f"{name:36s} {of_file} (network {of_network}{difference})")
    for name, value in numbers.items():
        if name.startswith("bytes_"):
            click.echo(f"{name:36s} {value:.0f}")
    for line in (*result.remarks, *result.left_out):
        click.echo(line)
    click.echo(f"written to {result.folder}")
    for line in result.broken:
        click.echo(f"tolerance not kept: {line}", err=True)
    if result.broken and not options["force"]:
        _suggest(kind)
        raise UmlError(f"export: refused, only the fidelity report is in {result.folder}")
    if result.deferred and not options.get("allow_deferred_build"):
        raise UmlError(
            f"export --{kind.target.name}: the build is deferred (--allow-deferred-build accepts that)"
        )


def _suggest(kind: ExportKind) -> None:
    """Names the kinds of the same target that quantize less."""
    others = [k.value for k in kinds_of(kind.target) if not k.calibrated and k != kind]
    if kind.calibrated and others:
        click.echo(f"closer to the network: --{kind.target.setting} {' or '.join(others)}", err=True)
