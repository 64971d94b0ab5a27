"""The MLflow store: where runs, metrics, artifacts and models are kept."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mlflow
from filelock import FileLock
from mlflow.exceptions import MlflowException

from uml_tf.runtime.errors import UmlError

EXPERIMENT = "uml-tf"
FOLDER = "mlruns"
FINISHED_TAG = "uml_tf.finished"
CONFIG_FILE, CHECKPOINT_FILE = "config.yaml", "checkpoint.npz"


def local_store() -> Path:
    """``mlruns/`` in the working folder: a SQLite database and the artifacts, all in it."""
    return Path.cwd() / FOLDER


def run_folder(run_id: str) -> Path:
    """Where a run's files lie on this machine's disk."""
    return local_store() / "runs" / run_id


@contextmanager
def _first_use_locked(folder: Path) -> Iterator[None]:
    # The first use creates the database's schema; two processes doing so at once break each other.
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        yield


def use_store() -> str:
    """Points MLflow at ``MLFLOW_TRACKING_URI``, if set, else at ``local_store()``.

    Returns:
        The tracking URI.

    Raises:
        UmlError: the store cannot be used.
    """
    for name in ("alembic", "mlflow.pyfunc", "mlflow.store", "mlflow.utils"):
        logging.getLogger(name).setLevel(logging.WARNING)
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    uri = os.environ.get("MLFLOW_TRACKING_URI")
    try:
        if uri:
            mlflow.set_tracking_uri(uri)
            mlflow.set_experiment(EXPERIMENT)
            return uri
        folder = local_store()
        uri = f"sqlite:///{folder / 'mlflow.db'}"
        with _first_use_locked(folder):
            mlflow.set_tracking_uri(uri)
            if mlflow.get_experiment_by_name(EXPERIMENT) is None:
                mlflow.create_experiment(EXPERIMENT, artifact_location=(folder / "artifacts").as_uri())
            mlflow.set_experiment(EXPERIMENT)
    except (MlflowException, OSError) as error:
        raise UmlError(f"MLflow store {uri}: cannot be used ({str(error).splitlines()[0]})") from error
    return uri


def last_run_id() -> str:
    """The newest finished training run.

    Raises:
        UmlError: there is none.
    """
    uri = use_store()
    runs = mlflow.search_runs(
        experiment_names=[EXPERIMENT],
        filter_string=f"attributes.status = 'FINISHED' and tags.{FINISHED_TAG} = 'train'",
        order_by=["attributes.end_time DESC"],
        max_results=1,
        output_format="list",
    )
    if not runs:
        raise UmlError(
            f"model 'last': found no finished training run in {uri}, expected one (`uml-tf train`)"
        )
    return str(runs[0].info.run_id)


def unfinished_run_id(reference: str) -> str:
    """A training that can be gone on with: a run id, or "last" for the newest.

    Raises:
        UmlError: there is none, it is finished, or its checkpoint is not on this machine.
    """
    if reference == "last":
        folders = sorted(
            (local_store() / "runs").glob(f"*/{CHECKPOINT_FILE}"), key=lambda p: p.stat().st_mtime
        )
        if not folders:
            raise UmlError(f"--resume last: found no checkpoint in {local_store() / 'runs'}, expected one")
        return folders[-1].parent.name
    try:
        run = mlflow.get_run(reference)
    except MlflowException as error:
        raise UmlError(f"--resume {reference}: found no such run in {mlflow.get_tracking_uri()}") from error
    if FINISHED_TAG in run.data.tags:
        raise UmlError(f"--resume {reference}: found a finished training, expected one that was stopped")
    if not (run_folder(reference) / CHECKPOINT_FILE).is_file():
        raise UmlError(f"--resume {reference}: found no checkpoint of it on this machine")
    return reference
