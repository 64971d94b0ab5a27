"""``uml-tf study`` for real: killed in the middle and resumed; folds, two at a time, with a failing arm."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import mlflow
import numpy as np
import pytest

BASE = "config: {data: set, image_size: 64, epochs: 1}\n"
TWO = BASE + "arms: {joint: , no mixer: {without: [mixer]}}\nseeds: [0, 1]\nmetrics: [accuracy, mean_dice]\n"
FOLDS = (
    BASE + "arms: {joint: {averaging: 0}, broken: {encoder_weights: nowhere.weights.h5}}\n"
    "seeds: [3]\nfolds: 2\nmetrics: [accuracy, dice_disc]\n"
)


@dataclass
class _Story:
    """What the commands printed, in their order.

    ``first_run`` is the only run that was finished when the study was killed, ``killed_run`` the one that was
    being trained then.
    """

    folder: Path
    killed: int
    first_run: str
    killed_run: str
    finished: subprocess.CompletedProcess[str]
    again: subprocess.CompletedProcess[str]
    plan: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A working folder with 40 phantoms and the two studies."""
    from uml_tf.data.converters.phantom import PhantomOptions, generate_phantoms

    folder = tmp_path_factory.mktemp("study")
    generate_phantoms(folder / "set", PhantomOptions(images=40, seed=1, size=96))
    (folder / "two.yaml").write_text(TWO)
    (folder / "folds.yaml").write_text(FOLDS)
    return folder


def _checkpoint(folder):
    """Waits for a training to save its first state; its run id."""
    end = time.monotonic() + 300
    while time.monotonic() < end:
        found = list((folder / "mlruns/runs").glob("*/checkpoint.npz"))
        if found:
            return found[0].parent.name
        time.sleep(0.1)
    raise AssertionError("no training saved its state")


@pytest.fixture(scope="module")
def story(folder, start_uml_tf, uml_tf_command):
    process = start_uml_tf("study", "two.yaml", "--out", "results", cwd=folder)
    for line in process.stderr:
        if line.startswith("joint, seed 0: finished"):
            break
    models = list((folder / "mlruns/runs").glob("*/model.keras"))
    killed_run = _checkpoint(folder)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    finished = uml_tf_command("study", "two.yaml", "--out", "results", cwd=folder)
    again = uml_tf_command("study", "two.yaml", "--out", "again", "--jobs", "2", cwd=folder)
    plan = uml_tf_command("study", "two.yaml", "--plan", cwd=folder)
    (first,) = models
    return _Story(folder, process.returncode, first.parent.name, killed_run, finished, again, plan)


def _runs(folder):
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlruns/mlflow.db")
    return {
        run.info.run_id: run for run in mlflow.search_runs(experiment_names=["uml-tf"], output_format="list")
    }


def _parent(folder, name):
    (run,) = [run for run in _runs(folder).values() if run.info.run_name == f"study {name}"]
    return run


def _cells(folder, parent):
    found = [
        run for run in _runs(folder).values() if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id
    ]
    return sorted(found, key=lambda run: run.info.start_time)


def _table(path):
    return {(row["metric"], row["arm"]): row for row in csv.DictReader(path.open())}


def test_a_killed_study_trains_no_finished_cell_again_and_resumes_the_other(story):
    assert story.killed == -signal.SIGKILL
    text = story.finished.stderr
    assert "study: 4 cells, 1 finished before" in text
    assert re.search(r"^no mixer, seed 0: resumed$", text, re.M)
    assert not re.search(r"^joint, seed 0: ", text, re.M)
    assert re.search(r"^no mixer, seed 1: finished, 4 of 4 cells", text, re.M)
    cells = _cells(story.folder, _parent(story.folder, "two"))
    assert len(cells) == 4
    assert [run.info.run_id for run in cells[:2]] == [story.first_run, story.killed_run]
    assert {run.info.status for run in cells} == {"FINISHED"}
    assert [(run.data.params["seed"], run.data.tags["uml_tf.study.arm"]) for run in cells] == [
        (seed, arm) for seed in "01" for arm in ("joint", "no mixer")
    ]


def test_the_table_holds_what_the_cells_measured(story):
    cells = _cells(story.folder, _parent(story.folder, "two"))
    table = _table(story.folder / "results/study.csv")
    for metric in ("accuracy", "mean_dice"):
        values = {"joint": [], "no mixer": []}
        for run in cells:
            numbers = json.loads(
                (story.folder / "mlruns/runs" / run.info.run_id / "metrics.json").read_text()
            )
            values[run.data.tags["uml_tf.study.arm"]].append(numbers[metric]["value"])
        for arm, found in values.items():
            row = table[metric, arm]
            assert float(row["mean"]) == pytest.approx(np.mean(found))
            assert float(row["deviation"]) == pytest.approx(np.std(found, ddof=1))
            assert float(row["low"]) - 1e-9 <= float(row["mean"]) <= float(row["high"]) + 1e-9
        change = float(table[metric, "no mixer"]["difference"])
        assert change == pytest.approx(np.mean(values["no mixer"]) - np.mean(values["joint"]))


def test_results_are_printed_written_and_logged_to_the_parent_run(story):
    text = (story.folder / "results/study.md").read_text()
    assert text in story.finished.stdout
    assert cv2.imread(str(story.folder / "results/study.png")).std() > 5
    parent = _parent(story.folder, "two")
    assert parent.info.status == "FINISHED"
    artifacts = {item.path for item in mlflow.MlflowClient().list_artifacts(parent.info.run_id)}
    assert artifacts == {"study.md", "study.csv", "study.png", "study.yaml"}
    mean = float(_table(story.folder / "results/study.csv")["accuracy", "joint"]["mean"])
    assert parent.data.metrics["joint/accuracy"] == mean


def test_a_finished_study_trains_nothing_and_has_the_same_results(story):
    assert "study: 4 cells, 4 finished before" in story.again.stderr
    assert "started" not in story.again.stderr
    assert "epoch" not in story.again.stderr
    for name in ("study.csv", "study.md"):
        assert (story.folder / "again" / name).read_text() == (story.folder / "results" / name).read_text()


def test_the_plan_of_a_finished_study_has_nothing_left_to_train(story):
    assert re.search(r"^- no mixer, seed 1: finished$", story.plan.stdout, re.M)
    assert "0 cells to train, about 0.0 min with 1 at a time." in story.plan.stdout
    row = next(line for line in story.plan.stdout.splitlines() if line.startswith("| joint |"))
    assert row.endswith("| epochs of 2 finished cells |")


@dataclass
class _Folds:
    plan: subprocess.CompletedProcess[str]
    runs_after_plan: int
    done: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def folds(story, uml_tf_command):
    """The second study, after its plan; one of its arms cannot be trained."""
    folder = story.folder
    before = len(_runs(folder))
    plan = uml_tf_command("study", "folds.yaml", "--plan", cwd=folder, expect=1)
    runs = len(_runs(folder)) - before
    done = uml_tf_command("study", "folds.yaml", "--out", "folds", "--jobs", "2", cwd=folder, expect=1)
    return _Folds(plan, runs, done)


def test_the_plan_measures_what_is_not_finished_and_trains_nothing(folds):
    assert folds.runs_after_plan == 0
    row = next(line for line in folds.plan.stdout.splitlines() if line.startswith("| joint |"))
    found = re.fullmatch(
        r"\| joint \| (\d+), (\d+), (\d+) \| 1 \| ([\d,]+) \| ([\d.]+) \| ([\d.]+) (?:min|h) "
        r"\| (\d+) steps an epoch of [\d.]+ s \|",
        row,
    )
    assert found, row
    train, val, test, steps = (int(found[i]) for i in (1, 2, 3, 7))
    assert train + val + test == 40
    assert steps == train // 8
    assert int(found[4].replace(",", "")) > 100_000
    assert float(found[5]) > 0.01
    assert "- broken, seed 3, fold 2 of 2: to do" in folds.plan.stdout
    assert re.search(r"^uml-tf: .*arm 'broken': .*nowhere\.weights\.h5", folds.plan.stderr, re.M)


def test_a_cell_that_fails_is_a_line_and_does_not_stop_the_others(folds):
    text = folds.done.stderr
    for fold in (1, 2):
        name = f"broken, seed 3, fold {fold} of 2"
        (line,) = [line for line in text.splitlines() if line.startswith(f"{name}: failed: ")]
        assert "nowhere.weights.h5" in line
        assert re.search(rf"^joint, seed 3, fold {fold} of 2: finished", text, re.M)
    assert text.splitlines()[-1].startswith(
        "uml-tf: study: 2 of 4 cells failed (broken, seed 3, fold 1 of 2; "
    )


def test_the_folds_are_pooled_and_no_network_has_seen_what_it_was_tested_on(folds, folder):
    table = _table(folder / "folds/study.csv")
    assert set(table) == {("accuracy", "joint"), ("dice_disc", "joint")}
    assert table["accuracy", "joint"]["images"] == "40"
    parent = _parent(folder, "folds")
    assert parent.info.status == "FAILED"
    tested = []
    cells = [run for run in _cells(folder, parent) if run.info.status == "FINISHED"]
    assert len(cells) == 2
    for run in cells:
        own = folder / "mlruns/runs" / run.info.run_id
        images = [row["image"] for row in csv.DictReader((own / "images.csv").open())]
        seen = set((own / "training_images.txt").read_text().split())
        assert seen
        assert not seen & {
            hashlib.sha256((folder / "set" / image).read_bytes()).hexdigest() for image in images
        }
        tested += images
    assert len(tested) == len(set(tested)) == 40


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("arms: {a: {epochs: 0}}\n", "uml-tf: bad.yaml: arms.a: epochs: found 0"),
        ("arms: {a: }\nconfig: {data: nowhere}\n", "nowhere/dataset.yaml: no such file"),
    ],
)
def test_a_wrong_study_is_one_line(uml_tf_command, tmp_path, text, line):
    (tmp_path / "bad.yaml").write_text(text)
    done = uml_tf_command("study", "bad.yaml", cwd=tmp_path, expect=1)
    assert line in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
