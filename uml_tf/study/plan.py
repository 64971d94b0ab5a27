"""What a study will cost, before it is run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from uml_tf.data.dataset import SPLITS
from uml_tf.study.cells import Cell, Study
from uml_tf.study.display import StudyDisplay
from uml_tf.study.pool import Pool, Task, threads_of_each
from uml_tf.study.runs import CellRun, find_runs, finished_runs
from uml_tf.tracking.store import local_store
from uml_tf.training.interruption import StoppedError

_MODULE = "uml_tf.study.cost_process"


@dataclass(frozen=True)
class ArmCost:
    """What the cells of an arm cost, or a combination.

    Attributes:
        arm: name.
        images: split -> number of images of the first fold.
        epochs: of a cell, at most; 0 of a combination, of which nothing is trained.
        states: "finished", "begun" or "to do" -> number of cells.
        minutes: of a cell; None where it could not be measured.
        basis: where ``minutes`` is from, or why there is none.
        parameters: of the network; None where they are not known.
        gigaflop: of one answer, without a locator's; None where it was not measured.
    """

    arm: str
    images: dict[str, int]
    epochs: int
    states: dict[str, int]
    minutes: float | None
    basis: str
    parameters: int | None
    gigaflop: float | None


def state_of(cell: Cell, runs: Mapping[str, CellRun]) -> str:
    """Whether a cell is "finished", "begun" or "to do"."""
    if cell.key not in runs:
        return "to do"
    return "finished" if runs[cell.key].finished else "begun"


def _measured(
    study: Study, arms: Sequence[str], jobs: int, display: StudyDisplay
) -> dict[str, tuple[dict[str, float], str]]:
    """Arm -> what a process measured on its first cell, and why it could not."""
    tasks = []
    for arm in arms:
        cell = study.of_arm(arm)[0]
        order = {"config": cell.config.to_yaml(), "root": str(cell.dataset.root)}
        log = local_store() / "logs" / f"cost-{cell.file_name}.log"
        tasks.append(Task(arm, _MODULE, order, log))
    if not tasks:
        return {}
    done = display.stage("measuring arms", len(tasks))
    ended: list[str] = []

    def end(task: Task, _: object) -> None:
        ended.append(task.name)
        done(len(ended))

    # One at a time, so that they do not slow each other down; with the threads that a cell will have.
    try:
        outcomes = Pool(1, ended=end, threads=threads_of_each(jobs)).run(tasks)
    except StoppedError:
        raise StoppedError("study: stopped while the arms were measured; a plan saves nothing") from None
    return {arm: (o.messages.get("finished", {}), o.failure) for arm, o in outcomes.items()}


def plan_study(study: Study, jobs: int, display: StudyDisplay) -> tuple[list[ArmCost], dict[str, str]]:
    """Measures or looks up what the cells cost; trains nothing.

    The time of a cell is the mean of the arm's finished cells (their epochs), or else is estimated from a few
    steps, validated and tested images.

    Args:
        study: the study.
        jobs: cells that will be trained at the same time.
        display: shows the progress.

    Returns:
        The cost of every arm and combination, and name of a cell -> its state.
    """
    runs = find_runs(study.cells)
    finished = {arm: finished_runs(study, arm, runs) for arm in study.spec.arms}
    measured = _measured(study, [arm for arm, known in finished.items() if not known], jobs, display)
    costs = {arm: _arm_cost(study, arm, runs, finished[arm], measured.get(arm)) for arm in study.spec.arms}
    combined = [_combined_cost(study, name, costs[one.of]) for name, one in study.spec.combined.items()]
    return [*costs.values(), *combined], {cell.name: state_of(cell, runs) for cell in study.cells}


def _arm_cost(
    study: Study,
    arm: str,
    runs: Mapping[str, CellRun],
    finished: Sequence[CellRun],
    measured: tuple[dict[str, float], str] | None,
) -> ArmCost:
    cells = study.of_arm(arm)
    first = cells[0]
    states = [state_of(cell, runs) for cell in cells]
    numbers, failure = measured or ({}, "")
    minutes: float | None = None
    if finished:
        minutes = sum(run.minutes for run in finished) / len(finished)
        basis = f"epochs of {len(finished)} finished cells"
    elif numbers:
        minutes = numbers["seconds"] / 60
        basis = f"{numbers['steps']:.0f} steps an epoch of {numbers['step_seconds']:.2f} s"
    else:
        basis = failure
    parameters = finished[0].parameters if finished else numbers.get("parameters")
    return ArmCost(
        arm,
        {split: len(first.dataset.split(split)) for split in SPLITS},
        first.config.epochs,
        {state: states.count(state) for state in ("finished", "begun", "to do")},
        minutes,
        basis,
        int(parameters) if parameters else None,
        next((run.gigaflop.network for run in finished if run.gigaflop), numbers.get("gigaflop")),
    )


def _combined_cost(study: Study, name: str, of: ArmCost) -> ArmCost:
    """What a combination costs, of which nothing is trained."""
    one, seeds = study.spec.combined[name], len(study.spec.seeds)
    return replace(
        of,
        arm=name,
        epochs=0,
        states=dict.fromkeys(of.states, 0),
        minutes=0.0,
        basis=f"nothing is trained: measured with the networks of {one.of}",
        parameters=None if of.parameters is None else of.parameters * one.networks(seeds),
        gigaflop=None if of.gigaflop is None else of.gigaflop * one.predictions(seeds),
    )


def minutes_left(costs: Sequence[ArmCost], jobs: int) -> float | None:
    """Minutes that the study still takes, at most; None where an arm could not be measured."""
    if any(cost.minutes is None for cost in costs):
        return None
    left = [(cost.minutes or 0.0) * (cost.states["begun"] + cost.states["to do"]) for cost in costs]
    return sum(left) / jobs


def _duration(minutes: float | None) -> str:
    if minutes is None:
        return "not known"
    return f"{minutes:.1f} min" if minutes < 90 else f"{minutes / 60:.1f} h"


def plan_markdown(costs: Sequence[ArmCost], states: Mapping[str, str], jobs: int) -> str:
    """The cells, the cost of every arm, and the time that all take."""
    lines = [f"{len(states)} cells:", ""]
    lines += [f"- {name}: {state}" for name, state in states.items()]
    headers = [
        "arm",
        "images (train, val, test)",
        "epochs",
        "parameters",
        "GFLOP an answer",
        "a cell",
        "from",
    ]
    lines += ["", "| " + " | ".join(headers) + " |", "| --- |" + " --- |" * (len(headers) - 1)]
    for cost in costs:
        images = ", ".join(str(cost.images[split]) for split in SPLITS)
        parameters = "" if cost.parameters is None else f"{cost.parameters:,}"
        flop = "" if cost.gigaflop is None else f"{cost.gigaflop:.2f}"
        epochs, minutes = (str(cost.epochs), _duration(cost.minutes)) if cost.epochs else ("none", "none")
        cells = [cost.arm, images, epochs, parameters, flop, minutes, cost.basis]
        lines.append("| " + " | ".join(cells) + " |")
    todo = sum(cost.states["begun"] + cost.states["to do"] for cost in costs)
    lines += [
        "",
        f"{todo} cells to train, about {_duration(minutes_left(costs, jobs))} with {jobs} at a time.",
    ]
    return "\n".join(lines) + "\n"
