"""Running a study: train and measure what is not finished yet, then summarise what is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from uml_tf.figures.save import save_figure
from uml_tf.runtime.files import write_text
from uml_tf.study.arithmetic import gigaflop_of_rows
from uml_tf.study.cells import Cell, Study
from uml_tf.study.combined import measure_combined, measured_repeats, unmeasured
from uml_tf.study.dask_pool import DaskPool
from uml_tf.study.display import StudyDisplay
from uml_tf.study.forecast import Forecast
from uml_tf.study.learning_curve import learning_curve_figure
from uml_tf.study.pool import STOPPED, Message, Outcome, Pool, Task
from uml_tf.study.report import notes, rows_markdown
from uml_tf.study.results import Pooled, pooled, study_results
from uml_tf.study.runs import (
    CellRun,
    cell_tags,
    end_abandoned,
    end_study,
    find_runs,
    finished_seeds,
    held,
    parent_run,
    run_measures,
)
from uml_tf.study.table import results_csv, results_figure, results_markdown
from uml_tf.tracking.store import run_folder, use_store
from uml_tf.training.interruption import StoppedError

_MODULE = "uml_tf.study.cell_process"


@dataclass(frozen=True)
class StudyResult:
    """A study that was run to its end.

    Attributes:
        run_id: of the parent run.
        files: Markdown, CSV, figures and YAML; nothing where no arm has a finished seed.
        failures: name of a cell -> why it failed, in one line.
        cells: number of all cells.
        unmeasured: name of a combination -> why it could not be measured, in one line.
    """

    run_id: str
    files: tuple[Path, ...]
    failures: dict[str, str]
    cells: int
    unmeasured: dict[str, str]


@dataclass
class _Progress:
    """Passes what the processes of the cells report on to the display."""

    display: StudyDisplay
    cells: Mapping[str, Cell]
    resumed: frozenset[str]
    forecast: Forecast
    done: int

    def started(self, task: Task) -> None:
        self.forecast.begin(task.name)
        self.display.started(self.cells[task.name], task.name in self.resumed)

    def message(self, task: Task, message: Message) -> None:
        cell = self.cells[task.name]
        if message["kind"] == "epoch":
            done = message["done"]
            self.forecast.epoch(task.name, message["epochs"] - done, message["seconds"])
            self.display.epoch(cell, done, self.forecast.seconds())
        elif message["kind"] == "warning":
            self.display.warn(f"{cell.name}: {message['message']}")

    def ended(self, task: Task, outcome: Outcome) -> None:
        self.forecast.end(task.name)
        if outcome.failure:
            self.display.failed(self.cells[task.name], outcome.failure)
        else:
            self.done += 1
            self.display.finished(self.cells[task.name], self.done, self.forecast.seconds())


def _task(study: Study, cell: Cell, parent: str, found: CellRun | None) -> Task:
    order = {
        "config": cell.config.to_yaml(),
        "name": cell.name,
        "tags": cell_tags(study, cell, parent),
        "run_id": found.run_id if found is not None else None,
    }
    return Task(cell.name, _MODULE, order, run_folder(parent) / "logs" / f"{cell.file_name}.log")


def _train(
    study: Study, parent: str, jobs: int, display: StudyDisplay, scheduler: str | None
) -> dict[str, str]:
    """Trains what is not finished; name of a cell -> why it failed."""
    runs = find_runs(study.cells)
    end_abandoned(study.cells)
    left = [cell for cell in study.cells if cell.key not in runs or not runs[cell.key].finished]
    finished = len(study.cells) - len(left)
    display.begin(len(study.cells), finished)
    progress = _Progress(
        display,
        {cell.name: cell for cell in left},
        frozenset(cell.name for cell in left if cell.key in runs),
        Forecast({cell.name: (cell.arm, cell.config.epochs) for cell in left}, jobs),
        finished,
    )
    listeners = (progress.started, progress.message, progress.ended)
    if scheduler and left and use_store().split(":")[0] in ("sqlite", "file"):
        display.warn("--dask: found a store for one machine; several need a server, see docs/study.md")
    pool = DaskPool(scheduler, *listeners, display.warn) if scheduler else Pool(jobs, *listeners)
    outcomes = pool.run([_task(study, cell, parent, runs.get(cell.key)) for cell in left])
    return {name: outcome.failure for name, outcome in outcomes.items() if outcome.failure}


def _arms_measures(study: Study, runs: Mapping[str, CellRun]) -> dict[str, Sequence[Pooled]]:
    """Arm -> the pooled measures of each seed of which all folds are finished; arms without any left out."""
    found = {arm: finished_seeds(study, arm, runs) for arm in study.spec.arms}
    return {
        arm: [pooled([run_measures(runs[cell.key].run_id) for cell in cells]) for cells in seeds]
        for arm, seeds in found.items()
        if seeds
    }


def _write(
    study: Study, runs: Mapping[str, CellRun], out: Path, display: StudyDisplay
) -> tuple[tuple[Path, ...], dict[str, float]]:
    """Writes the results of what is finished; the files, and the means for MLflow."""
    arms = _arms_measures(study, runs)
    if not arms:
        return (), {}
    first = next(iter(study.spec.arms))
    if first not in arms:
        display.warn(f"no seed of arm '{first}' is finished: differences are to '{next(iter(arms))}' instead")
    every = arms | measured_repeats(study, runs)
    rows = study_results(every, study.metrics)
    gigaflop = gigaflop_of_rows(study, runs, display)
    repeats = {name: len(found) for name, found in every.items()}
    tables = [results_markdown(rows), rows_markdown(study, repeats, runs, gigaflop), notes(study, rows, runs)]
    files = tuple(out / f"study.{suffix}" for suffix in ("md", "csv", "png", "yaml"))
    write_text(files[0], "\n".join(tables))
    write_text(files[1], results_csv(rows, gigaflop))
    save_figure(results_figure(rows), files[2])
    write_text(files[3], study.text)
    curve = learning_curve_figure(study, rows)
    if curve is not None:
        files = (*files, out / "learning_curve.png")
        save_figure(curve, files[-1])
    return files, {f"{row.arm}/{row.metric}": row.mean.value for row in rows if row.mean.value is not None}


def run_study(
    study: Study,
    out: Path,
    jobs: int,
    display: StudyDisplay,
    before_results: Callable[[], None] = lambda: None,
    scheduler: str | None = None,
) -> StudyResult:
    """Trains the cells that are not finished, measures the combinations, and writes the results.

    A cell that fails does not stop the others, and is tried again when the study is run again. Where some
    failed, arms are summarised over the seeds of which all folds are finished.

    Args:
        study: the study.
        out: folder of the results.
        jobs: cells that are trained at the same time, each with its share of the processor's cores.
        display: shows the progress.
        before_results: called before anything is measured or computed, for which TensorFlow is imported.
        scheduler: of the Dask cluster that trains the cells; None for processes of this machine.

    Raises:
        StoppedError: Ctrl-C or SIGTERM; everything is saved.
        UmlError: another process runs it, or something cannot be written.
    """
    parent = parent_run(study)
    status, files, numbers = "FAILED", tuple[Path, ...](), dict[str, float]()
    with held(parent):
        try:
            failures = _train(study, parent, jobs, display, scheduler)
            before_results()
            runs = find_runs(study.cells)
            waiting = unmeasured(study, runs)
            if waiting:  # whatever comes of the combinations, the arms have their table
                files, numbers = _write(study, runs, out, display)
            without = measure_combined(study, waiting, parent, display)
            files, numbers = _write(study, runs, out, display)
            status = "FAILED" if failures or without else "FINISHED"
        except StoppedError:
            status = "KILLED"
            raise
        except KeyboardInterrupt:  # between the stages that watch for it
            status = "KILLED"
            raise StoppedError(STOPPED) from None
        finally:
            end_study(parent, status, files, numbers)
    return StudyResult(parent, files, failures, len(study.cells), without)
