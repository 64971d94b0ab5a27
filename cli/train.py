"""``uml-tf train``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from uml_tf.data.dataset import YAML_NAME, read_info
from uml_tf.networks.presets import PRESETS
from uml_tf.runtime.placement import FITS
from uml_tf.training.cluster import VARIABLE, read_tf_config, set_tf_config
from uml_tf.training.config import ABLATION_PARTS, TrainingConfig, load_config, parse_assignment
from uml_tf.training.sections import parse_roi

if TYPE_CHECKING:
    from uml_tf.training.run import RunResult

_FIELDS = {
    "teacher": "teachers",
    "class_weights": "loss.class_weights",
    "annealing_epochs": "loss.annealing_epochs",
}
"""Options whose field is in a section of the config."""


def _overrides(options: dict[str, Any], assignments: tuple[str, ...]) -> dict[str, Any]:
    """Dotted field -> value of the options that were given.

    Raises:
        click.UsageError: a field was given twice, by its own option and by --set, or by two --set.
    """
    given = parse_roi(options.pop("roi")) if options.get("roi") else {}
    given |= {_FIELDS.get(name, name): value for name, value in options.items() if value not in (None, ())}
    for field, value in map(parse_assignment, assignments):
        for other in given:
            if f"{field}.".startswith(f"{other}.") or f"{other}.".startswith(f"{field}."):
                raise click.UsageError(f"--set {field}: found {other} given before, expected each field once")
        given[field] = value
    return given


def _set_workers(workers: str | None, index: int | None) -> None:
    if (workers is None) != (index is None):
        raise click.UsageError("--workers and --index go together")
    if workers is not None and index is not None:
        set_tf_config(workers.split(","), index)


def _check_resumable(run: str) -> None:
    """Refuses a run that cannot be resumed, before the wait for TensorFlow."""
    from uml_tf.tracking.store import use_store
    from uml_tf.tracking.unfinished import unfinished_run_id

    use_store()
    unfinished_run_id(run)


def _report(result: RunResult, register: str | None) -> None:
    click.echo((result.folder / "metrics.md").read_text(encoding="utf-8"))
    click.echo(f"model     {result.model}")
    click.echo(f"numbers   {result.folder / 'metrics.json'}")
    click.echo(f"figures   {result.folder / 'figures'}")
    click.echo(f"MLflow    run {result.run_id}")
    if register:
        from uml_tf.cli.quiet import quiet
        from uml_tf.tracking.registry import add_version

        with quiet(2):  # MLflow prints a message of its own for each registration
            version, _ = add_version(result.run_id, register)
        click.echo(f"version   {version.uri}")
    served = result.tracking_uri.startswith("http")
    click.echo(f"see it    {'' if served else 'mlflow ui --backend-store-uri '}{result.tracking_uri}")


def _list_encoders(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    """Prints the names of the registered encoders and exits."""
    if not wanted or context.resilient_parsing:
        return
    from uml_tf.cli.quiet import import_tensorflow

    import_tensorflow()
    from uml_tf.networks.encoders import ENCODERS, PRESET_SOURCES

    for name, encoder in ENCODERS.items():
        click.echo(f"{name}{'  (published weights)' if encoder.published_weights else ''}")
    for source in PRESET_SOURCES:
        click.echo(f"{source}:...  (presets, widths or folders of {source})")
    context.exit()


_DEFAULTS = TrainingConfig()


def _default_of(field: str) -> str:
    """The default of every preset, for the help."""
    return ", ".join(f"{getattr(spec.training, field):g} for {name}" for name, spec in PRESETS.items())


@click.command()
@click.option(
    "--list-encoders",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_list_encoders,
    help="Print the names of the encoders and exit.",
)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="YAML with any of the fields; options replace its values.",
)
@click.option("--data", type=click.Path(path_type=Path), help="Prepared data set  [default: phantoms]")
@click.option("--preset", type=click.Choice(list(PRESETS)), help="[default: edge]")
@click.option(
    "--without",
    multiple=True,
    type=click.Choice(ABLATION_PARTS),
    help="Switch off a part of the method (ablation); may be repeated.",
)
@click.option("--class-encoder", help="Another encoder than the preset's; see --list-encoders.")
@click.option("--segmentation-encoder", help="The same for segmentation.")
@click.option(
    "--encoder-weights",
    help='Start the encoders from "imagenet", the published weights that --list-encoders marks (over the '
    "network), from a file (the public Res2Net or VGG16-BN .pth, a uml-tf .keras, Keras .weights.h5), or "
    'from "none".  [default: imagenet for ...-pretrained, unet-edge and -wide, else none]',
)
@click.option(
    "--encoder-rate",
    type=float,
    help="Learning rate of the encoders, as a multiple of the network's.  "
    f"[default: {_default_of('encoder_rate')}]",
)
@click.option(
    "--encoder-decay",
    type=float,
    help="The same for a stage of the encoders, as a multiple of the next stage's, e.g. 0.7.  [default: 1]",
)
@click.option("--epochs", type=int, help=f"[default: {_DEFAULTS.epochs}]")
@click.option("--batch-size", type=int, help=f"[default: {_DEFAULTS.batch_size}]")
@click.option(
    "--image-size", type=int, help=f"Side of the square input, pixels.  [default: {_DEFAULTS.image_size}]"
)
@click.option(
    "--fit",
    type=click.Choice(FITS),
    help="How a picture becomes that square: stretch changes its aspect, letterbox pads it, crop reads its "
    "largest centred square.  [default: stretch]",
)
@click.option(
    "--roi",
    metavar="LOCATOR[:REGION]",
    help="Read only the part of every image around a region, e.g. disc, that another trained MODEL finds.",
)
@click.option(
    "--teacher",
    multiple=True,
    metavar="MODEL",
    help="A trained network to learn from, beside the truth: mean and spread of several become one network's "
    "probabilities and evidence. May be repeated.",
)
@click.option("--learning-rate", type=float, help=f"[default: {_default_of('learning_rate')}]")
@click.option("--seed", type=int, help="[default: 0]")
@click.option("--precision", type=click.Choice(["float32", "mixed_bfloat16", "mixed_float16"]))
@click.option("--patience", type=int, help="Stop after this many epochs without a better validation score.")
@click.option("--class-weights", type=click.Choice(["none", "balanced"]), help="[default: none]")
@click.option("--annealing-epochs", type=float, help="Epochs until the KL term has its full weight.")
@click.option("--masked-share", type=float, help="Share of each batch that has a mask, for mixed data sets.")
@click.option(
    "--without-masks",
    type=click.Choice(["ignore", "teach"]),
    help="What images without a mask add beside their label: nothing, or the pixels that the averaged "
    f"network holds for sure.  [default: {_DEFAULTS.without_masks}]",
)
@click.option(
    "--batch-norm",
    type=click.Choice(["global", "device"]),
    help="With several devices: statistics of batch norms over the whole batch, or of each device's own "
    f"images, which is faster.  [default: {_DEFAULTS.batch_norm}]",
)
@click.option(
    "--risk-target",
    type=float,
    help="Largest share of wrong classes among the images that the trained network accepts.  "
    f"[default: {_DEFAULTS.risk_target:g}]",
)
@click.option(
    "--confidence",
    type=float,
    help="Confidence with which the validation images are to show that; too few of them accept nothing.  "
    f"[default: {_DEFAULTS.confidence:g}]",
)
@click.option("--jit", is_flag=True, default=None, help="Compile the step with XLA; for GPUs.")
@click.option(
    "--set",
    "assignments",
    metavar="FIELD=VALUE",
    multiple=True,
    help="Set any field of the config by its dotted name, e.g. loss.cls=0.3; the value is YAML. May be "
    "repeated, but not for a field that another option sets.",
)
@click.option(
    "--resume",
    metavar="RUN|last",
    help="Resume a training that was stopped or killed; takes no other option of the training.",
)
@click.option(
    "--restartable",
    is_flag=True,
    help="Resume the unfinished run of the same config in this folder, where there is one: for schedulers, "
    "which repeat the command.",
)
@click.option(
    "--workers",
    metavar="HOST:PORT,...",
    help="Train on several machines: the addresses of all workers, the same list on each. The first worker "
    "saves the run.",
)
@click.option("--index", type=int, help="Position of this machine in --workers, from 0.")
@click.option("--register", metavar="NAME", help="Register the network as the next version of NAME.")
def train(
    config: Path | None,
    resume: str | None,
    restartable: bool,
    workers: str | None,
    index: int | None,
    register: str | None,
    assignments: tuple[str, ...],
    **options: Any,
) -> None:
    """Train a joint network, evaluate it on the test split and save everything in MLflow.

    Without arguments: synthetic fundus photographs and the edge network. All GPUs of the machine are used.
    """
    overrides = _overrides(options, assignments)
    if resume and (config or overrides or restartable):
        raise click.UsageError("--resume uses the config of the run: found another option of the training")
    _set_workers(workers, index)
    if resume and VARIABLE not in os.environ:  # only the chief of several workers has the checkpoint
        _check_resumable(resume)
    settings = load_config(config, overrides)
    if settings.data is not None:
        read_info(settings.data / YAML_NAME)  # a wrong path is told before the wait for TensorFlow
    if register:
        from uml_tf.tracking.registry import check_name

        check_name(register)
    from uml_tf.cli.display import TerminalDisplay
    from uml_tf.cli.quiet import import_tensorflow

    import_tensorflow()

    from uml_tf.training.run import resume as resume_training
    from uml_tf.training.run import train as run_training

    with TerminalDisplay() as display:
        if resume:
            result = resume_training(resume, display)
        else:
            result = run_training(settings, display, restartable=restartable)
    if result is None:
        click.echo(f"worker {read_tf_config()[1]}: done; the chief saved the run")
    else:
        _report(result, register)
