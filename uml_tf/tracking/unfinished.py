"""Trainings that are not finished: which can be resumed, and which process runs one now."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import mlflow
from filelock import FileLock, Timeout
from mlflow.exceptions import MlflowException

from uml_tf.runtime.errors import UmlError, reason_of
from uml_tf.tracking.store import CHECKPOINT_FILE, FINISHED_TAG, local_store, run_folder

LOCK_FILE = ".running"
"""In a run's folder: locked by the process that trains, and its name. The lock ends with the process."""


class RunningError(UmlError):
    """Another process trains the run."""


@contextmanager
def running(run_id: str) -> Iterator[None]:
    """Holds a training for this process until the block ends, or the process does.

    Raises:
        RunningError: another process holds it; it is named.
        UmlError: the lock cannot be written.
    """
    path = run_folder(run_id) / LOCK_FILE
    lock = FileLock(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
        path.write_text(f"process {os.getpid()} on {socket.gethostname()}", encoding="utf-8")
    except Timeout:
        owner = path.read_text(encoding="utf-8") or "another process"
        raise RunningError(
            f"run {run_id}: found it running ({owner}), expected a training that was stopped"
        ) from None
    except OSError as error:
        lock.release()
        raise UmlError(f"{path}: cannot be written ({reason_of(error)})") from error
    try:
        yield
    finally:
        lock.release()


def is_finished(run_id: str, option: str) -> bool:
    """Whether a training is finished.

    Args:
        run_id: of MLflow.
        option: what named it, for the message.

    Raises:
        UmlError: there is no such run.
    """
    try:
        return FINISHED_TAG in mlflow.get_run(run_id).data.tags
    except MlflowException as error:
        raise UmlError(f"{option}: run {run_id}: found no such run in {mlflow.get_tracking_uri()}") from error


def _with_checkpoint() -> list[str]:
    """The runs with a checkpoint in this folder, the newest checkpoint first."""
    files = (local_store() / "runs").glob(f"*/{CHECKPOINT_FILE}")
    return [file.parent.name for file in sorted(files, key=lambda path: path.stat().st_mtime, reverse=True)]


def _last(option: str) -> str:
    """The unfinished run with the newest checkpoint.

    Raises:
        UmlError: there is none, or a newer checkpoint is of a run that is not in the store.
    """
    for run_id in _with_checkpoint():
        if not is_finished(run_id, option):
            return run_id
    raise UmlError(
        f"{option}: found no checkpoint in {local_store() / 'runs'}, expected that of a training that was "
        "stopped (a finished one has none)"
    )


def resumable_run_ids() -> Iterator[str]:
    """The trainings that can be resumed now, the newest checkpoint first; others are passed over."""
    for run_id in _with_checkpoint():
        try:
            yield unfinished_run_id(run_id)
        except UmlError:
            continue


def unfinished_run_id(reference: str) -> str:
    """A training that can be resumed now.

    Args:
        reference: a run id, or "last" for the run with the newest checkpoint.

    Raises:
        UmlError: there is none, it is finished, its checkpoint is not on this machine, or it still runs.
    """
    option = f"--resume {reference}"
    run_id = _last(option) if reference == "last" else reference
    if is_finished(run_id, option):
        raise UmlError(f"{option}: found a finished training, expected one that was stopped")
    if not (run_folder(run_id) / CHECKPOINT_FILE).is_file():
        raise UmlError(f"{option}: found no checkpoint of it on this machine")
    with running(run_id):
        return run_id
