"""The MLflow store: where runs, metrics, artifacts and models are saved."""

from __future__ import annotations

import logging
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mlflow
from filelock import FileLock

from uml_tf.runtime.errors import UmlError, reason_of
from uml_tf.runtime.files import sync

EXPERIMENT = "uml-tf"
FOLDER = "mlruns"
DATABASE = "mlflow.db"
FINISHED_TAG = "uml_tf.finished"
PARENT_TAG = "mlflow.parentRunId"
"""Names the run that a run is nested in: of a cell the study."""
_RUNS_OF_A_PAGE = 20

CONFIG_FILE, CHECKPOINT_FILE = "config.yaml", "checkpoint.npz"

_URI_VARIABLE = "MLFLOW_TRACKING_URI"
_set_here: set[str] = set()
"""The URIs of local stores that this process has used."""

_LOG_LEVELS = {
    "alembic": logging.WARNING,
    "mlflow.pyfunc": logging.WARNING,
    "mlflow.store": logging.WARNING,
    # Logs the traceback of every database error that MLflow raises too.
    "mlflow.store.db.utils": logging.CRITICAL,
    "mlflow.utils": logging.WARNING,
}


def local_store() -> Path:
    """``mlruns/`` in the working folder, which holds a SQLite database and the artifacts."""
    return Path.cwd() / FOLDER


def run_folder(run_id: str) -> Path:
    """The folder of a run's files on this machine."""
    return local_store() / "runs" / run_id


@contextmanager
def saving(what: str) -> Iterator[None]:
    """Turns any error of MLflow inside the block into one line.

    Args:
        what: what is being saved, for the message.

    Raises:
        UmlError: the store cannot be written to, e.g. because the disk is full.
    """
    try:
        yield
    except UmlError:
        raise
    except Exception as error:  # MLflow passes on the errors of any database driver, server or file system
        uri = mlflow.get_tracking_uri()
        raise UmlError(
            f"{what}: cannot be saved in {uri} ({reason_of(error)}); what was saved before stays"
        ) from error


def _create_experiment(uri: str, folder: Path) -> None:
    client = mlflow.MlflowClient(tracking_uri=uri)
    if client.get_experiment_by_name(EXPERIMENT) is None:
        client.create_experiment(EXPERIMENT, artifact_location=(folder / "artifacts").as_uri())


@contextmanager
def _not_waiting_for_the_disk() -> Iterator[None]:
    """Inside the block new connections to SQLite commit without waiting until the disk has written."""
    from sqlalchemy import Engine, event  # takes half a second, and most commands find a database

    def commit_at_once(connection: object, _: object) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.execute("PRAGMA synchronous = OFF")

    event.listen(Engine, "connect", commit_at_once)
    try:
        yield
    finally:
        event.remove(Engine, "connect", commit_at_once)


def _create_database(folder: Path) -> None:
    """Creates the database with all its tables, or nothing.

    MLflow creates the tables in some hundred transactions, and cannot continue where it was interrupted. The
    file takes its place when it is complete, so it is enough that the disk has it then: seconds less.
    """
    with tempfile.TemporaryDirectory(prefix=".creating-", dir=folder) as temporary:
        database = Path(temporary) / DATABASE
        with _not_waiting_for_the_disk():
            _create_experiment(f"sqlite:///{database}", folder)
        sync(database)
        database.replace(folder / DATABASE)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        yield


def _given_uri() -> str | None:
    """The ``MLFLOW_TRACKING_URI`` of the user. MLflow writes what ``set_tracking_uri`` is given there too."""
    uri = os.environ.get(_URI_VARIABLE)
    return None if uri in _set_here else uri


def use_store() -> str:
    """Points MLflow at ``MLFLOW_TRACKING_URI``, if set, else at ``local_store()``.

    Returns:
        The tracking URI.

    Raises:
        UmlError: the store cannot be reached, read or created.
    """
    for name, level in _LOG_LEVELS.items():
        logging.getLogger(name).setLevel(level)
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    folder = local_store()
    given = _given_uri()
    uri = given or f"sqlite:///{folder / DATABASE}"
    try:
        if not given:
            with _locked(folder):
                if not (folder / DATABASE).exists():
                    _create_database(folder)
                _create_experiment(uri, folder)
            _set_here.add(uri)
        mlflow.set_tracking_uri(uri)
        mlflow.set_experiment(EXPERIMENT)
    except Exception as error:  # MLflow passes on the errors of any database driver or server
        raise UmlError(f"MLflow store {uri}: cannot be used ({reason_of(error)})") from error
    return uri


def store_exists() -> bool:
    """Whether there is a store that ``use_store`` would not have to create first."""
    return _given_uri() is not None or (local_store() / DATABASE).exists()


def last_run_id() -> str:
    """The newest finished training run that is no cell of a study.

    Raises:
        UmlError: there is none.
    """
    uri = use_store()
    experiment = mlflow.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    token: str | None = ""
    while token is not None:  # by pages: the first has it, but after a large study
        runs = mlflow.MlflowClient().search_runs(
            [experiment.experiment_id],
            f"attributes.status = 'FINISHED' and tags.{FINISHED_TAG} = 'train'",
            max_results=_RUNS_OF_A_PAGE,
            order_by=["attributes.end_time DESC"],
            page_token=token or None,
        )
        for run in runs:
            if PARENT_TAG not in run.data.tags:
                return str(run.info.run_id)
        token = runs.token or None
    raise UmlError(
        f"model 'last': found no finished training run in {uri}, expected one (`uml-tf train`; the cells of "
        "a study are named by runs:/ID/model)"
    )
