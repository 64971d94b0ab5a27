"""``uml-tf export``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from uml_tf.runtime.errors import UmlError

_SHOWN = (
    "class_agreement",
    "mask_agreement",
    "class_uncertainty_rho",
    "mask_uncertainty_rho",
    "class_uncertainty_mean_difference",
    "mask_uncertainty_mean_difference",
    "change_class_failure_auroc",
)


def _target(tflite: bool, onnx: bool, tensorrt: bool) -> str:
    given = [name for name, on in (("tflite", tflite), ("onnx", onnx), ("tensorrt", tensorrt)) if on]
    if len(given) != 1:
        found = " and ".join(f"--{name}" for name in given) or "none of them"
        raise click.UsageError(f"found {found}, expected one of --tflite, --onnx, --tensorrt")
    return given[0]


def _check_options(target: str, options: dict[str, Any]) -> None:
    """Refuses an option that the target would ignore."""
    ignored = {
        "tflite": ("precision", "allow_deferred_build"),
        "onnx": ("precision", "allow_deferred_build", "input_type", "example", "web"),
        "tensorrt": ("quantize", "input_type", "example", "web"),
    }
    for name in ignored[target]:
        if options[name] not in (None, False):
            given = name.removesuffix("_type").replace("_", "-")
            raise click.UsageError(f"--{given}: not an option of --{target}")
    if target == "onnx" and options["quantize"] not in (None, "none", "int8"):
        raise click.UsageError(f"found {options['quantize']}, --onnx takes --quantize none or int8")


def _check_data(options: dict[str, Any]) -> None:
    """Refuses data that are not there, before the wait for TensorFlow."""
    from uml_tf.export.calibration import calibration_files

    from uml_tf.data.dataset import PreparedDataset

    if options["verify"]:
        PreparedDataset.open(options["verify"])
    if options["calibration"]:
        calibration_files(options["calibration"], options["calibration_images"], click.echo)


@click.command()
@click.argument("model")
@click.option("--tflite", is_flag=True, help="A device bundle: model.tflite and what runs it.")
@click.option("--onnx", is_flag=True, help="model.onnx, checked by onnxruntime.")
@click.option("--tensorrt", is_flag=True, help="model.engine, for the GPU that it is built on.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="A new folder.")
@click.option(
    "--quantize",
    type=click.Choice(["none", "float16", "dynamic", "int8", "int8-logits"]),
    help="int8: integer body, float evidential heads. int8-logits: integers throughout, for NPUs; the host "
    "finishes the answer. ONNX takes none and int8.  [default: none]",
)
@click.option("--precision", type=click.Choice(["fp16", "int8"]), help="Of the engine.  [default: fp16]")
@click.option(
    "--calibration",
    type=click.Path(path_type=Path),
    help="Training images for int8: a data set or a folder.  [default: the model's training split]",
)
@click.option("--calibration-images", type=click.IntRange(1), default=200, show_default=True)
@click.option("--input", "input_type", type=click.Choice(["float32", "uint8"]), help="[default: float32]")
@click.option(
    "--batch", type=click.IntRange(1), default=1, show_default=True, help="Images at a time, fixed."
)
@click.option(
    "--verify",
    type=click.Path(path_type=Path),
    help="Data set to compare the written file with the network on.  [default: the model's own]",
)
@click.option("--verify-split", type=click.Choice(["train", "val", "test"]), default="val", show_default=True)
@click.option(
    "--tolerance",
    multiple=True,
    metavar="NAME=VALUE",
    help="What must be kept: class_agreement=0.99, mask_agreement=0.995, class_rho=0.99, mask_rho=0.98, "
    "class_difference=0.01, mask_difference=0.01, failure_auroc_drop=0.01. May be repeated.",
)
@click.option("--force", is_flag=True, help="Keep a file past the tolerance; it is marked as such.")
@click.option(
    "--example",
    type=click.Path(path_type=Path),
    help="The bundle's example image.  [default: the first compared]",
)
@click.option(
    "--web/--no-web",
    default=None,
    help="The bundle's page for the browser, which npm fetches LiteRT.js for.  [default: where possible]",
)
@click.option(
    "--allow-deferred-build",
    is_flag=True,
    help="Exit 0 where no engine can be built and the ONNX file with the build command is written instead.",
)
def export(
    model: str, tflite: bool, onnx: bool, tensorrt: bool, tolerance: tuple[str, ...], **options: Any
) -> None:
    """Write MODEL for the device, and prove on held-out images that it still answers the same.

    Past the tolerance only the fidelity report is written, and the exit code is 1.
    """
    target = _target(tflite, onnx, tensorrt)
    _check_options(target, options)
    from uml_tf.cli.display import TerminalDisplay
    from uml_tf.cli.quiet import import_tensorflow, quiet
    from uml_tf.export.fidelity import Tolerance

    bars = Tolerance.parse(tolerance)
    _check_data(options)
    import_tensorflow()
    from uml_tf.export.run import ExportJob
    from uml_tf.export.run import export as run_export
    from uml_tf.export.tflite import TFLiteSpec

    from uml_tf.tracking.models import load_trained

    job = ExportJob(
        out=options["out"],
        target=target,
        tflite=TFLiteSpec(
            options["quantize"] or "none", options["input_type"] or "float32", options["batch"]
        ),
        precision=options["precision"] or "fp16",
        calibration=options["calibration"],
        calibration_images=options["calibration_images"],
        verify=options["verify"],
        split=options["verify_split"],
        tolerance=bars,
        force=options["force"],
        example=options["example"],
        web=options["web"],
    )
    network, _ = load_trained(model)
    # The display has a descriptor of its own: the converters write to these two.
    with TerminalDisplay() as display, quiet(1, 2):
        result = run_export(network, job, display.stage)
    _report(result, options)


def _report(result: Any, options: dict[str, Any]) -> None:
    for name in _SHOWN:
        value = result.numbers.get(name)
        click.echo(f"{name:36s} {'not defined here' if value is None else f'{value:.4f}'}")
    for name, value in result.numbers.items():
        if name.startswith("bytes_"):
            click.echo(f"{name:36s} {value:.0f}")
    for line in result.left_out:
        click.echo(line)
    if not result.logged:
        click.echo("not logged: the training run is not in this MLflow store")
    click.echo(f"written to {result.folder}")
    for line in result.broken:
        click.echo(f"tolerance not kept: {line}", err=True)
    if result.broken and not options["force"]:
        click.echo("--quantize dynamic and float16 keep more", err=True)
        raise UmlError(f"export: refused, {result.folder} has the fidelity report alone")
    if result.deferred and not options["allow_deferred_build"]:
        raise UmlError("export --tensorrt: the build is deferred (--allow-deferred-build accepts that)")
