"""What an answer of each row of a study's results computes."""

from __future__ import annotations

from collections.abc import Mapping

from uml_tf.runtime.errors import UmlError
from uml_tf.study.cells import Study
from uml_tf.study.display import StudyDisplay
from uml_tf.study.runs import CellRun, Gigaflop, finished_runs, network_of, record_gigaflop


def _count(model: str) -> Gigaflop:
    from uml_tf.networks.operations import gigaflop
    from uml_tf.tracking.models import load_pair

    network, locator = load_pair(model)
    return Gigaflop(gigaflop(network), 0.0 if locator is None else gigaflop(locator))


def gigaflop_of_rows(study: Study, runs: Mapping[str, CellRun], display: StudyDisplay) -> dict[str, float]:
    """Arm or combination -> 10^9 operations of one answer; those without a finished cell are left out.

    The operations of an arm's network are counted once and kept in the run of the cell.

    Args:
        study: the study.
        runs: key of a cell -> its run.
        display: shows the progress.
    """
    finished = {arm: finished_runs(study, arm, runs) for arm in study.spec.arms}
    counted = {
        arm: next((run.gigaflop for run in own if run.gigaflop is not None), None)
        for arm, own in finished.items()
        if own
    }
    unknown = [arm for arm, known in counted.items() if known is None]
    done = display.stage("counting operations", len(unknown)) if unknown else lambda number: None
    for number, arm in enumerate(unknown, start=1):
        run = finished[arm][0]
        try:
            counted[arm] = found = _count(network_of(run))
            record_gigaflop(run.run_id, found)
        except UmlError as error:
            display.warn(f"{arm}: its operations are not counted: {error}")
        done(number)
    arms = {arm: known for arm, known in counted.items() if known is not None}
    seeds = len(study.spec.seeds)
    combined = {
        name: arms[one.of].of(one.predictions(seeds))
        for name, one in study.spec.combined.items()
        if one.of in arms
    }
    return {arm: known.of(1) for arm, known in arms.items()} | combined
