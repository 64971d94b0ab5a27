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

from uml_tf.errors import UmlError

EXPERIMENT = "uml-tf"
FOLDER = "mlruns"
FINISHED_TAG = "uml_tf.finished"


def local_store() -> Path:
    """``mlruns/`` in the working folder: a SQLite database and the artifacts, all in it."""
    return Path.cwd() / FOLDER


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
    for name in ("alembic", "mlflow.store", "mlflow.utils"):
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
