"""A study in MLflow: the parent run, and the run of each cell nested in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import mlflow
from mlflow.entities import Run

from uml_tf.evaluation.measure import ImageMeasure
from uml_tf.evaluation.measures_file import MEASURES_FILE, load_measures
from uml_tf.runtime.errors import UmlError
from uml_tf.study.cells import Cell, Study, cells_by_seed
from uml_tf.tracking.models import MODEL_NAME, fetch
from uml_tf.tracking.store import (
    CHECKPOINT_FILE,
    EXPERIMENT,
    FINISHED_TAG,
    PARENT_TAG,
    run_folder,
    saving,
    use_store,
)
from uml_tf.tracking.unfinished import running
from uml_tf.training.checkpoint_format import FORMAT, found_format

STUDY_TAG = "uml_tf.study"
CELL_TAG = "uml_tf.study.cell"
COMMIT_PARAM = "git.commit"
_GIGAFLOP = ("network.gigaflop", "locator.gigaflop")
"""Parameters of a cell's run, in the order of ``Gigaflop``."""


class Gigaflop(NamedTuple):
    """10^9 operations.

    Attributes:
        network: of one prediction of the network.
        locator: of finding the part of an image that the network reads; 0 without a locator.
    """

    network: float
    locator: float

    def of(self, predictions: int) -> float:
        """Of an answer for which the image is located once and the network asked several times."""
        return self.locator + predictions * self.network


@dataclass(frozen=True)
class CellRun:
    """The run of a cell.

    Attributes:
        run_id: of MLflow.
        finished: whether there is nothing left to train or to measure.
        commit: git commit of the code that began it, "" where it is unknown.
        minutes: duration of the finished epochs.
        parameters: of the network.
        gigaflop: what it computes for an image; None where that was not counted yet.
    """

    run_id: str
    finished: bool
    commit: str
    minutes: float
    parameters: int
    gigaflop: Gigaflop | None


def cell_tags(study: Study, cell: Cell, parent: str) -> dict[str, str]:
    """Tags of a cell's run, by which it is found again."""
    return {CELL_TAG: cell.key, **nested_tags(study, cell, cell.arm, parent)}


def nested_tags(study: Study, cell: Cell, row: str, parent: str) -> dict[str, str]:
    """Tags of a run in that of a study.

    Args:
        study: the study.
        cell: one on the same fold.
        row: the arm or combination that the run belongs to.
        parent: the run of the study.
    """
    return {
        PARENT_TAG: parent,
        f"{STUDY_TAG}.name": study.name,
        f"{STUDY_TAG}.arm": row,
        f"{STUDY_TAG}.fold": f"{cell.fold} of {cell.folds}",
    }


def search_runs(tag: str, value: str) -> list[Run]:
    """Runs with a tag, the newest first."""
    found: list[Run] = mlflow.search_runs(
        experiment_names=[EXPERIMENT],
        filter_string=f"tags.`{tag}` = '{value}'",
        order_by=["attributes.start_time DESC"],
        output_format="list",
    )
    return found


def _minutes(run_id: str) -> float:
    history = mlflow.MlflowClient().get_metric_history(run_id, "seconds")
    return sum({point.step: point.value for point in history}.values()) / 60


def _cell_run(run: Run) -> CellRun:
    params = run.data.params
    return CellRun(
        run.info.run_id,
        FINISHED_TAG in run.data.tags,
        params.get(COMMIT_PARAM, ""),
        _minutes(run.info.run_id),
        int(params.get("network.parameters", 0)),
        Gigaflop(*(float(params[name]) for name in _GIGAFLOP)) if _GIGAFLOP[-1] in params else None,
    )


def record_gigaflop(run_id: str, counted: Gigaflop) -> None:
    """Keeps in the run of a finished cell what its network computes, so that it is counted once.

    Raises:
        UmlError: the store cannot be written to.
    """
    client = mlflow.MlflowClient()
    with saving(f"run {run_id}"):
        for name, value in zip(_GIGAFLOP, counted, strict=True):
            client.log_param(run_id, name, value)


def _is_resumable(run_id: str) -> bool:
    # Another version's checkpoint, or one that was cut off, would fail each time: the cell begins anew.
    return found_format(run_folder(run_id) / CHECKPOINT_FILE) == FORMAT


def find_runs(cells: Sequence[Cell]) -> dict[str, CellRun]:
    """Key of a cell -> its run: a finished one, or the newest that can be resumed on this machine.

    A cell that another study has trained, with the same config, seed and data, counts as well.

    Raises:
        UmlError: the store cannot be read.
    """
    use_store()
    found = {}
    with saving("study"):
        for cell in cells:
            runs = search_runs(CELL_TAG, cell.key)
            finished = [run for run in runs if FINISHED_TAG in run.data.tags]
            begun = [run for run in runs if _is_resumable(run.info.run_id)]
            if finished or begun:
                found[cell.key] = _cell_run((finished or begun)[0])
    return found


def finished_seeds(study: Study, arm: str, runs: Mapping[str, CellRun]) -> list[list[Cell]]:
    """For each seed of which all folds are finished its cells, by fold."""
    return [
        cells
        for cells in cells_by_seed(study.of_arm(arm)).values()
        if all(cell.key in runs and runs[cell.key].finished for cell in cells)
    ]


def finished_runs(study: Study, arm: str, runs: Mapping[str, CellRun]) -> list[CellRun]:
    """The runs of an arm's finished cells, in the order of its cells."""
    own = (runs.get(cell.key) for cell in study.of_arm(arm))
    return [run for run in own if run is not None and run.finished]


def network_of(run: CellRun) -> str:
    """The MODEL that a finished cell trained, as ``uml-tf evaluate`` takes it; its local file if any."""
    from uml_tf.training.finish import MODEL_FILE  # imports TensorFlow, for which a training does not wait

    local = run_folder(run.run_id) / MODEL_FILE
    return str(local) if local.is_file() else f"runs:/{run.run_id}/{MODEL_NAME}"


def end_abandoned(cells: Sequence[Cell]) -> None:
    """Records as killed what was stopped before its first checkpoint, from which nothing can be resumed."""
    client = mlflow.MlflowClient()
    with saving("study"):
        for cell in cells:
            for run in search_runs(CELL_TAG, cell.key):
                begun = (run_folder(run.info.run_id) / CHECKPOINT_FILE).is_file()
                if run.info.status == "RUNNING" and not begun and FINISHED_TAG not in run.data.tags:
                    client.set_terminated(run.info.run_id, "KILLED")


def create_run(name: str, tags: Mapping[str, str]) -> str:
    """Begins a run of this name; its id."""
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None, "use_store creates it"
    return str(client.create_run(experiment.experiment_id, tags=dict(tags), run_name=name).info.run_id)


def parent_run(study: Study) -> str:
    """The run of the whole study, begun where there is none yet; its id.

    Raises:
        UmlError: the store cannot be used.
    """
    use_store()
    with saving("study"):
        known = search_runs(STUDY_TAG, study.identity)
        if known:
            return str(known[0].info.run_id)
        run_id = create_run(f"study {study.name}", {STUDY_TAG: study.identity})
        mlflow.MlflowClient().log_text(run_id, study.text, "study.yaml")
        return run_id


@contextmanager
def held(parent: str) -> Iterator[None]:
    """Holds a study for this process, and records it as running.

    Raises:
        UmlError: another process runs it.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(running(parent))
        except UmlError as error:
            raise UmlError(f"study: {error}") from error
        with saving("study"):
            mlflow.MlflowClient().update_run(parent, "RUNNING")
        yield


def end_study(parent: str, status: str, files: Sequence[Path], numbers: dict[str, float]) -> None:
    """Logs the results of a study to its run and ends it.

    Args:
        parent: its run.
        status: "FINISHED", "FAILED" or "KILLED".
        files: to log.
        numbers: name -> number.

    Raises:
        UmlError: the store cannot be written to.
    """
    client = mlflow.MlflowClient()
    with saving(f"run {parent}"):
        for name, value in numbers.items():
            client.log_metric(parent, name, value)
        for file in files:
            client.log_artifact(parent, str(file))
        client.set_terminated(parent, status)


def run_measures(run_id: str) -> list[ImageMeasure]:
    """What was measured on the images of a test split, by a finished cell or of several predictions.

    Raises:
        UmlError: neither this machine nor the store has it.
    """
    local = run_folder(run_id) / MEASURES_FILE
    return load_measures(local if local.is_file() else fetch(f"runs:/{run_id}/{MEASURES_FILE}"))
