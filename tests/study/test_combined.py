"""Passes and ensembles as rows of a study: the figures of ``uml-tf evaluate``, measured once."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import mlflow
import numpy as np
import pytest

from uml_tf.study.cells import open_study
from uml_tf.study.combined import measurements
from uml_tf.study.measured_runs import find_measured
from uml_tf.study.plan import plan_markdown, plan_study
from uml_tf.study.report import rows_markdown
from uml_tf.study.run import run_study
from uml_tf.study.runs import CellRun, Gigaflop, find_runs

STUDY = """\
config: {data: set, preset: unet-edge, encoder_weights: none, image_size: 32, epochs: 1}
arms: {one pass: {averaging: 0}}
combined:
  passes: {of: one pass, passes: 3}
  ensemble: {of: one pass, ensemble: true}
seeds: [0, 1]
metrics: [accuracy, mean_dice, nll, accepted]
"""


class _Told:
    """A display that keeps the stages."""

    def __init__(self):
        self.stages = []

    def stage(self, name, total):
        self.stages.append((name, total))
        return lambda done: None

    def __getattr__(self, name):
        return lambda *what: None


@pytest.fixture(scope="module")
def folder(tmp_path_factory, uml_tf_command):
    """A working folder in which the study ran; its results are in ``results``."""
    from uml_tf.data.converters.phantom import PhantomOptions, generate_phantoms

    folder = tmp_path_factory.mktemp("combined")
    generate_phantoms(folder / "set", PhantomOptions(images=32, seed=1, size=64))
    (folder / "study.yaml").write_text(STUDY)
    uml_tf_command("study", "study.yaml", "--out", "results", "--jobs", 2, cwd=folder)
    return folder


@pytest.fixture
def opened(folder, monkeypatch):
    """The study, and the runs of its cells."""
    monkeypatch.chdir(folder)
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlruns/mlflow.db")
    study = open_study(Path("study.yaml"), _Told())
    return SimpleNamespace(study=study, runs=find_runs(study.cells))


def _table(path):
    return {(row["metric"], row["arm"]): row for row in csv.DictReader(path.open())}


def test_a_row_has_the_figures_of_evaluate(folder, opened, run, tmp_path):
    table = _table(folder / "results/study.csv")
    models = [f"runs:/{opened.runs[cell.key].run_id}/model" for cell in opened.study.cells]
    asked = {
        "passes": [(model, "--passes", 3) for model in models],
        "ensemble": [(models[0], "--with", models[1])],
    }
    for name, commands in asked.items():
        found = []
        for number, arguments in enumerate(commands):
            out = tmp_path / f"{name}{number}"
            run("evaluate", *arguments, "--data", "set", "--out", out)
            found.append(json.loads((out / "metrics.json").read_text()))
        for metric in ("accuracy", "mean_dice", "nll"):
            row = table[metric, name]
            mean = np.mean([one[metric]["value"] for one in found])
            assert float(row["mean"]) == pytest.approx(mean, rel=1e-5)
            difference = float(row["mean"]) - float(table[metric, "one pass"]["mean"])
            assert float(row["difference"]) == pytest.approx(difference, abs=1e-6)
            assert int(row["seeds"]) == len(commands)
    assert table["nll", "passes"]["mean"] != table["nll", "one pass"]["mean"]
    assert table["accepted", "ensemble"]["mean"] == "", "a mean of predictions decides nothing"


def test_a_second_run_measures_nothing_and_other_networks_are_measured_anew(folder, opened, tmp_path):
    display = _Told()
    run_study(opened.study, tmp_path, 1, display)
    assert display.stages == []
    assert _table(tmp_path / "study.csv") == _table(folder / "results/study.csv")
    (first, second), ((both,),) = (measurements(opened.study, n, opened.runs) for n in ("passes", "ensemble"))
    keys = {one.key for one in (*first, *second, both)}
    assert len(keys) == 3
    measured = mlflow.get_run(find_measured(both.key))
    assert measured.data.params["git.commit"] == opened.runs[opened.study.cells[0].key].commit
    cell = opened.study.cells[1]
    retrained = opened.runs | {cell.key: replace(opened.runs[cell.key], run_id="another")}
    (kept, changed), ((other,),) = (measurements(opened.study, n, retrained) for n in ("passes", "ensemble"))
    assert kept[0].key in keys
    assert not {changed[0].key, other.key} & keys


def test_the_table_and_the_plan_tell_what_an_answer_costs(folder, opened):
    table = _table(folder / "results/study.csv")
    single, passes, both = (
        float(table["nll", name]["gigaflop"]) for name in ("one pass", "passes", "ensemble")
    )
    assert single > 0.001
    assert (passes, both) == pytest.approx((3 * single, 2 * single))
    text = (folder / "results/study.md").read_text()
    count = opened.runs[opened.study.cells[0].key].parameters
    line = (
        f"| ensemble | ensemble of the 2 seeds of one pass | all | {2 * count:,} | {2 * single:.2f} | none |"
    )
    assert line in text
    assert f"| passes | one pass, 3 passes with dropout | 2 of 2 | {count:,} | {passes:.2f} | none |" in text
    assert "One repeat alone (ensemble)" in text
    plan = plan_markdown(*plan_study(opened.study, 1, _Told()), jobs=1)
    (line,) = [line for line in plan.splitlines() if line.startswith("| passes |")]
    assert f"| {passes:.2f} | none | nothing is trained: measured with the networks of one pass |" in line


def test_with_a_locator_an_image_is_located_once(opened):
    assert Gigaflop(0.5, 0.2).of(1) == pytest.approx(0.7)
    assert Gigaflop(0.5, 0.2).of(20) == pytest.approx(10.2)


def test_seeds_that_are_not_finished_are_left_out_and_an_ensemble_waits_for_all(opened):
    study, runs = opened.study, dict(opened.runs)
    unfinished = study.cells[0]
    runs[unfinished.key] = CellRun("begun", False, "", 0.0, 0, None)
    assert [[one.title for one in folds] for folds in measurements(study, "passes", runs)] == [
        ["passes, seed 1"]
    ]
    assert measurements(study, "ensemble", runs) == []
    text = rows_markdown(study, {"one pass": 1, "passes": 1}, runs, {})
    assert "| ensemble | ensemble of the 2 seeds of one pass | 0 of 2 |" in text
