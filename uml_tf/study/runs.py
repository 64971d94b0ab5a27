"""A study in MLflow: the parent run, and the run of each cell nested in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import mlflow
from mlflow.entities import Run

from uml_tf.evaluation.measure import ImageMeasure
from uml_tf.evaluation.measures_file import MEASURES_FILE, load_measures
from uml_tf.runtime.errors import UmlError
from uml_tf.study.cells import Cell, Study
from uml_tf.tracking.models import fetch
from uml_tf.tracking.store import CHECKPOINT_FILE, EXPERIMENT, FINISHED_TAG, run_folder, saving, use_store
from uml_tf.tracking.unfinished import running

STUDY_TAG = "uml_tf.study"
CELL_TAG = "uml_tf.study.cell"
_PARENT_TAG = "mlflow.parentRunId"


@dataclass(frozen=True)
class CellRun:
    """The run of a cell.

    Attributes:
        run_id: of MLflow.
        finished: whether there is nothing left to train or to measure.
        commit: git commit of the code that began it, "" where it is unknown.
        minutes: duration of the finished epochs.
        parameters: of the network.
    """

    run_id: str
    finished: bool
    commit: str
    minutes: float
    parameters: int


def cell_tags(study: Study, cell: Cell, parent: str) -> dict[str, str]:
    """Tags of a cell's run, by which it is found again."""
    return {
        _PARENT_TAG: parent,
        CELL_TAG: cell.key,
        f"{STUDY_TAG}.name": study.name,
        f"{STUDY_TAG}.arm": cell.arm,
        f"{STUDY_TAG}.fold": f"{cell.fold} of {cell.folds}",
    }


def _search(tag: str, value: str) -> list[Run]:
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
        params.get("git.commit", ""),
        _minutes(run.info.run_id),
        int(params.get("network.parameters", 0)),
    )


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
            runs = _search(CELL_TAG, cell.key)
            finished = [run for run in runs if FINISHED_TAG in run.data.tags]
            begun = [run for run in runs if (run_folder(run.info.run_id) / CHECKPOINT_FILE).is_file()]
            if finished or begun:
                found[cell.key] = _cell_run((finished or begun)[0])
    return found


def end_abandoned(cells: Sequence[Cell]) -> None:
    """Records as killed what was stopped before its first checkpoint, from which nothing can be resumed."""
    client = mlflow.MlflowClient()
    with saving("study"):
        for cell in cells:
            for run in _search(CELL_TAG, cell.key):
                begun = (run_folder(run.info.run_id) / CHECKPOINT_FILE).is_file()
                if run.info.status == "RUNNING" and not begun and FINISHED_TAG not in run.data.tags:
                    client.set_terminated(run.info.run_id, "KILLED")


def parent_run(study: Study) -> str:
    """The run of the whole study, begun where there is none yet; its id.

    Raises:
        UmlError: the store cannot be used.
    """
    use_store()
    client = mlflow.MlflowClient()
    with saving("study"):
        known = _search(STUDY_TAG, study.identity)
        if known:
            return str(known[0].info.run_id)
        experiment = client.get_experiment_by_name(EXPERIMENT)
        assert experiment is not None, "use_store creates it"
        tags = {STUDY_TAG: study.identity}
        run = client.create_run(experiment.experiment_id, tags=tags, run_name=f"study {study.name}")
        client.log_text(run.info.run_id, study.text, "study.yaml")
        return str(run.info.run_id)


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


def cell_measures(run: CellRun) -> list[ImageMeasure]:
    """What a finished cell measured on the images of its test split.

    Raises:
        UmlError: neither this machine nor the store has it.
    """
    local = run_folder(run.run_id) / MEASURES_FILE
    return load_measures(local if local.is_file() else fetch(f"runs:/{run.run_id}/{MEASURES_FILE}"))
