"""The combinations of a study: several predictions for one answer, measured with the networks of its cells.

Nothing is trained. Each is measured on the test split of every fold as ``uml-tf evaluate`` does it, and kept
in an MLflow run of its own, by which it is found when the study is run again.
"""

from __future__ import annotations

import gc
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from uml_tf.evaluation.evaluate import CHUNK, measure_split
from uml_tf.evaluation.image_table import image_table
from uml_tf.evaluation.measure import ImageMeasure
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.model_card import ModelCard
from uml_tf.study.cells import Cell, Study
from uml_tf.study.display import StudyDisplay
from uml_tf.study.measured_runs import find_measured, save_measured
from uml_tf.study.pool import STOPPED
from uml_tf.study.results import Pooled, pooled
from uml_tf.study.runs import CellRun, finished_seeds, nested_tags, network_of, run_measures
from uml_tf.study.spec import Combination
from uml_tf.training.interruption import StoppedError, stop_requests


@dataclass(frozen=True)
class Measurement:
    """A combination on one fold.

    Attributes:
        name: of the combination.
        combination: how the networks are asked.
        cells: whose networks are asked, of one fold: one, or one of every seed for an ensemble.
        runs: of these cells.
    """

    name: str
    combination: Combination
    cells: tuple[Cell, ...]
    runs: tuple[CellRun, ...]

    @property
    def title(self) -> str:
        """For people."""
        first = self.cells[0]
        seed = f", seed {first.seed}" if len(self.cells) == 1 else ""
        fold = f", fold {first.fold} of {first.folds}" if first.folds > 1 else ""
        return f"{self.name}{seed}{fold}"

    @property
    def key(self) -> str:
        """SHA-256 of what decides the result: how the networks are asked, and the runs that trained them.

        These decide the fold too.
        """
        asked = self.combination.model_dump(exclude={"of"})
        content = [asked, sorted(run.run_id for run in self.runs)]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def measurements(study: Study, name: str, runs: Mapping[str, CellRun]) -> list[list[Measurement]]:
    """The measurements of a combination: for every repeat those of its folds.

    A repeat is a seed of the arm of which all folds are finished; of an ensemble there is one, of all seeds,
    and none as long as a seed is not finished.

    Args:
        study: the study.
        name: of the combination.
        runs: key of a cell -> its run.
    """
    combination = study.spec.combined[name]
    seeds = finished_seeds(study, combination.of, runs)
    repeats: list[list[tuple[Cell, ...]]] = [[(cell,) for cell in cells] for cells in seeds]
    if combination.ensemble:
        repeats = [list(zip(*seeds, strict=True))] if len(seeds) == len(study.spec.seeds) else []
    return [
        [Measurement(name, combination, cells, tuple(runs[cell.key] for cell in cells)) for cells in folds]
        for folds in repeats
    ]


def _measure(one: Measurement, progress: Callable[[int], None]) -> tuple[list[ImageMeasure], ModelCard]:
    """The measures of the fold's test split, and the card that names the classes."""
    from uml_tf.evaluation.combination import combined_model
    from uml_tf.tracking.opening import open_model

    models = [open_model(network_of(run), batch_size=CHUNK) for run in one.runs]
    model = combined_model(models, one.combination.passes, one.combination.flips, asked_by="passes")
    return measure_split(model, one.cells[0].dataset, "test", progress), model.card


def _measure_and_keep(study: Study, one: Measurement, parent: str, progress: Callable[[int], None]) -> None:
    measures, card = _measure(one, progress)
    tags = nested_tags(study, one.cells[0], one.name, parent)
    tags["uml_tf.study.networks"] = " ".join(run.run_id for run in one.runs)
    save_measured(one.title, tags, one.key, measures, image_table(measures, card))


def _until_asked_to_stop(done: Callable[[int], None], is_asked: Callable[[], bool]) -> Callable[[int], None]:
    def progress(count: int) -> None:
        done(count)
        if is_asked():
            raise StoppedError(STOPPED)

    return progress


def unmeasured(study: Study, runs: Mapping[str, CellRun]) -> list[Measurement]:
    """What of the combinations can be measured and is not measured yet; arguments as ``measurements``."""
    return [
        one
        for name in study.spec.combined
        for folds in measurements(study, name, runs)
        for one in folds
        if find_measured(one.key) is None
    ]


def measure_combined(
    study: Study, every: Sequence[Measurement], parent: str, display: StudyDisplay
) -> dict[str, str]:
    """Measures combinations; name of a combination -> why it failed, in one line.

    Args:
        study: the study.
        every: what is measured.
        parent: the run of the study.
        display: shows the progress.

    Raises:
        StoppedError: Ctrl-C or SIGTERM; what is measured is saved.
        UmlError: the store cannot be used.
    """
    failures: dict[str, str] = {}
    with stop_requests() as stop:
        for number, one in enumerate(every, start=1):
            if one.name in failures:  # its other networks are of the same kind
                continue
            images = len(one.cells[0].dataset.split("test"))
            shown = display.stage(f"measuring {one.title} ({number} of {len(every)})", images)
            try:
                _measure_and_keep(study, one, parent, _until_asked_to_stop(shown, stop.is_set))
            except StoppedError:
                raise
            except UmlError as error:
                failures[one.name] = f"combined.{one.name}: {error}"
                display.warn(failures[one.name])
            gc.collect()  # networks and their graphs refer to each other, and there may be dozens
    return failures


def measured_repeats(study: Study, runs: Mapping[str, CellRun]) -> dict[str, Sequence[Pooled]]:
    """Combination -> the pooled measures of each repeat with all folds measured; others are left out."""
    found: dict[str, Sequence[Pooled]] = {}
    for name in study.spec.combined:
        repeats = []
        for folds in measurements(study, name, runs):
            known = [find_measured(one.key) for one in folds]
            if all(known):
                repeats.append(pooled([run_measures(run_id) for run_id in known if run_id]))
        if repeats:
            found[name] = repeats
    return found
