"""What a training records in MLflow: its start, every epoch, its files, and how it ended."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mlflow

from uml_tf.data.dataset import PreparedDataset
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.files import write_text
from uml_tf.tracking.environment import environment
from uml_tf.tracking.exports import ROOT_PARAM
from uml_tf.tracking.store import CHECKPOINT_FILE, CONFIG_FILE, run_folder, saving
from uml_tf.tracking.unfinished import LOCK_FILE
from uml_tf.training.cluster import WorkerLostError
from uml_tf.training.display import Display
from uml_tf.training.interruption import StoppedError
from uml_tf.training.loop import Listener, Loop
from uml_tf.training.report import EpochReport


def log_start(run_id: str, dataset: PreparedDataset, loop: Loop) -> None:
    """Writes the config into the run's folder, and logs it with the data set and the machine."""
    config = loop.config
    write_text(run_folder(run_id) / CONFIG_FILE, config.to_yaml())
    with saving(f"run {run_id}"):
        mlflow.log_params(config.flat())
        mlflow.log_params(
            {
                "dataset.name": dataset.info.name,
                "dataset.fingerprint": dataset.fingerprint,
                ROOT_PARAM: str(dataset.root.resolve()),
                "network.parameters": loop.step.model.count_params(),
                "machine.workers": loop.cluster.workers,
                "machine.devices": loop.cluster.replicas,
                **environment(),
            }
        )
        mlflow.log_text(config.to_yaml(), CONFIG_FILE)


def epoch_metrics(report: EpochReport, pixel_classes: tuple[str, ...]) -> dict[str, float]:
    """What a run records of an epoch: its losses, its measures on the validation split, rate and seconds."""
    return {
        **{f"train/{name}": value for name, value in report.losses.items()},
        **report.validation.named(pixel_classes),
        "learning_rate": report.learning_rate,
        "seconds": report.seconds,
    }


def recording_listener(display: Display, pixel_classes: tuple[str, ...], is_chief: bool) -> Listener:
    """Shows steps, epochs and warnings; on the chief it also logs every epoch."""

    def log(report: EpochReport) -> None:
        with saving(f"epoch {report.epoch + 1}"):
            mlflow.log_metrics(epoch_metrics(report, pixel_classes), step=report.epoch)

    def epoch(report: EpochReport) -> None:
        if is_chief:
            log(report)
        display.epoch(report)

    return Listener(step=display.losses, epoch=epoch, warn=display.warn)


def log_files(folder: Path) -> None:
    """Logs what lies in the run's folder, but for what only a running training needs."""
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            mlflow.log_artifacts(str(path), path.name)
        elif path.name not in (CHECKPOINT_FILE, LOCK_FILE):
            mlflow.log_artifact(str(path))


@contextmanager
def recorded(run_id: str) -> Iterator[None]:
    """Ends the active run as finished, failed, or killed, which includes a requested stop."""
    try:
        yield
        with saving(f"run {run_id}"):
            mlflow.end_run("FINISHED")
    except (StoppedError, WorkerLostError) as error:
        _end_run("KILLED")
        raise type(error)(f"{error}; resume with: uml-tf train --resume {run_id}") from None
    except BaseException as error:
        _end_run("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")
        raise


def _end_run(status: str) -> None:
    """Records how the active run ended, where the store can still be written to."""
    try:
        with saving("status"):
            mlflow.end_run(status)
    except UmlError:
        return  # the error that ended the run is the one to report
