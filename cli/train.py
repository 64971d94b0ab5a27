"""``uml-tf train``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from uml_tf.networks.presets import PRESETS
from uml_tf.training.cluster import VARIABLE, announce_workers
from uml_tf.training.config import ABLATION_PARTS, load_config

if TYPE_CHECKING:
    from uml_tf.training.run import RunResult

_SECTION = {"class_weights": "loss", "annealing_epochs": "loss"}


def _overrides(options: dict[str, Any]) -> dict[str, Any]:
    """The options that were given, sections nested."""
    given = {name: value for name, value in options.items() if value not in (None, ())}
    nested: dict[str, Any] = {}
    for name, value in given.items():
        if name in _SECTION:
            nested.setdefault(_SECTION[name], {})[name] = value
        else:
            nested[name] = value
    return nested


def _announce(workers: str | None, index: int | None) -> None:
    if (workers is None) != (index is None):
        raise click.UsageError("--workers and --index go together")
    if workers is not None and index is not None:
        announce_workers(workers.split(","), index)


def _check_resumable(run: str) -> None:
    """Refuses a run that cannot be gone on with, before the wait for TensorFlow."""
    from uml_tf.tracking.store import unfinished_run_id, use_store

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

        with quiet(2):  # MLflow reports each registration in its own words
            version, _ = add_version(result.run_id, register)
        click.echo(f"version   {version.uri}")
    served = result.tracking_uri.startswith("http")
    click.echo(f"see it    {'' if served else 'mlflow ui --backend-store-uri '}{result.tracking_uri}")


@click.command()
@click.option("--config", type=click.Path(path_type=Path), help="YAML with any of the fields; options win.")
@click.option("--data", type=click.Path(path_type=Path), help="Prepared data set  [default: phantoms]")
@click.option("--preset", type=click.Choice(list(PRESETS)), help="[default: edge]")
@click.option(
    "--without",
    multiple=True,
    type=click.Choice(ABLATION_PARTS),
    help="Switch a part of the method off (ablation); may be repeated.",
)
@click.option("--class-encoder", help="Another encoder than the preset's, e.g. keras_cv:ResNetV2Backbone.")
@click.option("--segmentation-encoder", help="Likewise.")
@click.option(
    "--encoder-weights",
    help='Start the encoders from "imagenet" (keras-cv presets, over the network) or a local file: the '
    "public Res2Net or VGG16-BN .pth, a uml-tf .keras, Keras .weights.h5.",
)
@click.option("--epochs", type=int, help="[default: 14]")
@click.option("--batch-size", type=int, help="[default: 8]")
@click.option("--image-size", type=int, help="Side of the square input, pixels.  [default: 128]")
@click.option("--learning-rate", type=float, help="[default: 2e-3 for edge, 1e-4 for the published networks]")
@click.option("--seed", type=int, help="[default: 0]")
@click.option("--precision", type=click.Choice(["float32", "mixed_bfloat16", "mixed_float16"]))
@click.option("--patience", type=int, help="Stop after so many epochs without a better joint score.")
@click.option("--class-weights", type=click.Choice(["none", "balanced"]), help="[default: none]")
@click.option("--annealing-epochs", type=float, help="Epochs until the KL term counts in full.")
@click.option("--masked-share", type=float, help="Share of each batch that has a mask, for mixed data sets.")
@click.option("--jit", is_flag=True, default=None, help="Compile the step with XLA; for GPUs.")
@click.option(
    "--resume",
    metavar="RUN|last",
    help="Go on with a training that was stopped or killed; with no other option of the training.",
)
@click.option(
    "--workers",
    metavar="HOST:PORT,...",
    help="Train on several machines: every worker's address, the same list on each; the first keeps the run.",
)
@click.option("--register", metavar="NAME", help="Register the network as the next version of NAME.")
@click.option("--index", type=int, help="Which of the workers this is, from 0.")
def train(
    config: Path | None,
    resume: str | None,
    workers: str | None,
    index: int | None,
    register: str | None,
    **options: Any,
) -> None:
    """Train a joint network, evaluate it on the test split and keep everything in MLflow.

    Without arguments: synthetic fundus photographs and the edge network. All GPUs of the machine are used.
    """
    overrides = _overrides(options)
    if resume and (config or overrides):
        raise click.UsageError("--resume takes the run's own config, no other option of the training")
    _announce(workers, index)
    if resume and VARIABLE not in os.environ:  # of several workers the chief alone knows
        _check_resumable(resume)
    settings = load_config(config, overrides)
    if register:
        from uml_tf.tracking.registry import check_name

        check_name(register)
    from uml_tf.cli.display import TerminalDisplay
    from uml_tf.cli.quiet import import_tensorflow

    import_tensorflow()

    from uml_tf.training.run import resume as resume_training
    from uml_tf.training.run import train as run_training

    with TerminalDisplay() as display:
        result = resume_training(resume, display) if resume else run_training(settings, display)
    if result is None:
        click.echo(f"worker {index}: done; the chief keeps the run")
    else:
        _report(result, register)
