"""``uml-tf study`` for real: planned, killed in the middle and resumed, on folds, with an arm that fails."""

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

from uml_tf.runtime.errors import UmlError

# The quickest network to build: a study is the same for all.
BASE = """\
config: {data: set, preset: unet-edge, encoder_weights: none, image_size: 32, epochs: 1}
seeds: [3]
folds: 2
training_share: {joint: 0.8}
metrics: [accuracy, mean_dice]
"""
JOINT = BASE + "arms: {joint: {averaging: 0}}\n"
BOTH = BASE + "arms: {joint: {averaging: 0}, broken: {encoder_weights: nowhere.weights.h5}}\n"


@dataclass
class _Story:
    """What the commands printed, in their order.

    ``killed_run`` is the run that was being trained when the study was killed.
    """

    folder: Path
    plan: subprocess.CompletedProcess[str]
    runs_after_plan: int
    killed: int
    killed_run: str
    done: subprocess.CompletedProcess[str]


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
def story(tmp_path_factory, start_uml_tf, uml_tf_command):
    """A working folder with 32 phantoms in which the commands ran."""
    from uml_tf.data.converters.phantom import PhantomOptions, generate_phantoms

    folder = tmp_path_factory.mktemp("study")
    generate_phantoms(folder / "set", PhantomOptions(images=32, seed=1, size=64))
    (folder / "joint.yaml").write_text(JOINT)
    (folder / "both.yaml").write_text(BOTH)
    plan = uml_tf_command("study", "joint.yaml", "--plan", cwd=folder)
    planned = len(_runs(folder))
    process = start_uml_tf("study", "both.yaml", "--out", "results", cwd=folder)
    killed_run = _checkpoint(folder)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    arguments = ("--out", "results", "--jobs", "2")
    done = uml_tf_command("study", "both.yaml", *arguments, cwd=folder, expect=1)
    return _Story(folder, plan, planned, process.returncode, killed_run, done)


def _runs(folder):
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlruns/mlflow.db")
    return {
        run.info.run_id: run for run in mlflow.search_runs(experiment_names=["uml-tf"], output_format="list")
    }


def _parent(folder):
    (run,) = [run for run in _runs(folder).values() if run.info.run_name == "study both"]
    return run


def _cells(folder):
    """The runs of the trained cells, by fold."""
    parent = _parent(folder).info.run_id
    found = [run for run in _runs(folder).values() if run.data.tags.get("mlflow.parentRunId") == parent]
    return sorted(found, key=lambda run: run.data.tags["uml_tf.study.fold"])


def _table(path):
    return {(row["metric"], row["arm"]): row for row in csv.DictReader(path.open())}


def test_the_plan_measures_what_is_not_finished_and_trains_nothing(story):
    assert story.runs_after_plan == 0
    row = next(line for line in story.plan.stdout.splitlines() if line.startswith("| joint |"))
    found = re.fullmatch(
        r"\| joint \| (\d+), (\d+), (\d+) \| 1 \| ([\d,]+) \| ([\d.]+) \| ([\d.]+) (?:min|h) "
        r"\| (\d+) steps an epoch of [\d.]+ s \|",
        row,
    )
    assert found, row
    train, val, test, steps = (int(found[i]) for i in (1, 2, 3, 7))
    assert train == pytest.approx(0.8 * (32 - val - test), abs=1)  # the share of the study
    assert steps == train // 8
    assert int(found[4].replace(",", "")) > 100_000
    assert float(found[5]) > 0.005
    assert "- joint, seed 3, fold 2 of 2: to do" in story.plan.stdout
    assert re.search(r"^2 cells to train, about [\d.]+ min with 1 at a time\.$", story.plan.stdout, re.M)


def test_a_killed_study_resumes_the_training_that_it_was_in(story):
    assert story.killed == -signal.SIGKILL
    text = story.done.stderr
    assert "study: 4 cells, 0 finished before" in text
    assert re.search(r"^joint, seed 3, fold 1 of 2: resumed$", text, re.M)
    cells = _cells(story.folder)
    assert len(cells) == 2
    assert cells[0].info.run_id == story.killed_run
    assert {run.info.status for run in cells} == {"FINISHED"}
    assert {run.data.params["seed"] for run in cells} == {"3"}
    for run in cells:
        log = next(
            (story.folder / "mlruns/runs").glob(
                f"*/logs/joint-seed3-fold{run.data.tags['uml_tf.study.fold'][0]}-*"
            )
        )
        assert "BrokenPipeError" not in log.read_text()


def test_a_cell_that_fails_is_a_line_and_does_not_stop_the_others(story):
    text = story.done.stderr
    for fold in (1, 2):
        name = f"broken, seed 3, fold {fold} of 2"
        (line,) = [line for line in text.splitlines() if line.startswith(f"{name}: failed: ")]
        assert "nowhere.weights.h5" in line
        assert re.search(rf"^joint, seed 3, fold {fold} of 2: finished", text, re.M)
    last = text.splitlines()[-1]
    assert last.startswith("uml-tf: study: 2 of 4 cells failed (broken, seed 3, fold 1 of 2; ")
    assert _parent(story.folder).info.status == "FAILED"


def test_the_folds_are_pooled_and_no_network_has_seen_what_it_was_tested_on(story):
    table = _table(story.folder / "results/study.csv")
    assert set(table) == {("accuracy", "joint"), ("mean_dice", "joint")}
    correct, dice = [], []
    tested = []
    for run in _cells(story.folder):
        own = story.folder / "mlruns/runs" / run.info.run_id
        rows = list(csv.DictReader((own / "images.csv").open()))
        seen = set((own / "training_images.txt").read_text().split())
        assert seen
        assert not seen & {
            hashlib.sha256((story.folder / "set" / row["image"]).read_bytes()).hexdigest() for row in rows
        }
        tested += [row["image"] for row in rows]
        correct += [row["label"] == row["predicted"] for row in rows]
        dice += [float(row["mean_dice"]) for row in rows]
    assert len(tested) == len(set(tested)) == 32
    for metric, values in (("accuracy", correct), ("mean_dice", dice)):
        row = table[metric, "joint"]
        assert (row["images"], row["deviation"]) == ("32", "")
        assert float(row["mean"]) == pytest.approx(np.mean(values), abs=1e-5)
        assert float(row["low"]) - 1e-9 <= float(row["mean"]) <= float(row["high"]) + 1e-9


def test_results_are_printed_written_and_logged_to_the_parent_run(story):
    text = (story.folder / "results/study.md").read_text()
    assert text in story.done.stdout
    assert cv2.imread(str(story.folder / "results/study.png")).std() > 5
    parent = _parent(story.folder)
    artifacts = {item.path for item in mlflow.MlflowClient().list_artifacts(parent.info.run_id)}
    assert artifacts == {"study.md", "study.csv", "study.png", "learning_curve.png", "study.yaml"}
    assert re.search(r"0\.8 of the training subjects \(\d+ images\)", text)
    mean = float(_table(story.folder / "results/study.csv")["accuracy", "joint"]["mean"])
    assert parent.data.metrics["joint/accuracy"] == mean


class _Lines:
    """A display that keeps what it is told."""

    def __init__(self):
        self.told = []

    def __getattr__(self, name):
        def tell(*what):
            self.told.append((name, *what))
            return lambda done: None

        return tell


def test_cells_that_another_study_has_finished_are_not_trained_again(story, tmp_path, monkeypatch):
    from uml_tf.study.cells import open_study
    from uml_tf.study.plan import plan_markdown, plan_study
    from uml_tf.study.run import run_study

    monkeypatch.chdir(story.folder)
    mlflow.set_tracking_uri(f"sqlite:///{story.folder}/mlruns/mlflow.db")
    display = _Lines()
    study = open_study(Path("joint.yaml"), display)
    plan = plan_markdown(*plan_study(study, 1, display), jobs=1)
    assert "- joint, seed 3, fold 2 of 2: finished" in plan
    assert "| epochs of 2 finished cells |" in plan
    assert "0 cells to train, about 0.0 min with 1 at a time." in plan
    result = run_study(study, tmp_path, 1, display)
    assert display.told == [("begin", 2, 2)]
    assert result.failures == {}
    assert _table(tmp_path / "study.csv") == _table(story.folder / "results/study.csv")
    assert _runs(story.folder)[result.run_id].info.status == "FINISHED"


def test_flips_are_a_row_over_all_folds_once_the_networks_can_be_read(story, tmp_path, monkeypatch, run):
    from uml_tf.study.cells import open_study
    from uml_tf.study.run import run_study

    monkeypatch.chdir(story.folder)
    (story.folder / "combined.yaml").write_text(JOINT + "combined: {flips: {of: joint, flips: true}}\n")
    network = story.folder / "mlruns/runs" / _cells(story.folder)[0].info.run_id / "model.keras"
    whole = network.read_bytes()
    network.write_bytes(whole[:1000])
    command = ("study", "combined.yaml", "--out", tmp_path / "by command")
    printed = run(*command, expect=1)
    network.write_bytes(whole)
    assert printed.splitlines()[-1].startswith("uml-tf: study: combined.flips: ")
    assert "model.keras" in printed.splitlines()[-1]
    assert "(2 of 2)" not in printed, "no network of a combination is asked after one has failed"
    assert set(_table(tmp_path / "by command/study.csv")) == {("accuracy", "joint"), ("mean_dice", "joint")}
    printed = run(*command)
    assert re.search(r"^measuring flips, seed 3, fold 2 of 2 \(2 of 2\): \d+$", printed, re.M)
    table = _table(tmp_path / "by command/study.csv")
    assert set(table) == {(m, a) for m in ("accuracy", "mean_dice") for a in ("joint", "flips")}
    right, images = 0.0, 0
    for cell in _cells(story.folder):
        data, out = cell.data.params["dataset.root"], tmp_path / cell.info.run_id
        run("evaluate", f"runs:/{cell.info.run_id}/model", "--data", data, "--out", out, "--flips")
        found = json.loads((out / "metrics.json").read_text())["accuracy"]
        right, images = right + found["value"] * found["images"], images + found["images"]
    row = table["accuracy", "flips"]
    assert (row["images"], row["seeds"], images) == ("32", "1", 32)
    assert float(row["mean"]) == pytest.approx(right / images, abs=1e-6)
    assert float(row["difference"]) == pytest.approx(
        float(row["mean"]) - float(table["accuracy", "joint"]["mean"])
    )
    assert float(row["gigaflop"]) == pytest.approx(2 * float(table["accuracy", "joint"]["gigaflop"]))
    display = _Lines()
    result = run_study(open_study(Path("combined.yaml"), display), tmp_path / "again", 1, display)
    assert display.told == [("begin", 2, 2)], "nothing is trained, measured or counted again"
    assert result.unmeasured == {}
    assert _table(tmp_path / "again/study.csv") == table


def test_workers_of_other_machines_need_a_server(story, tmp_path, monkeypatch):
    from uml_tf.study.cells import open_study
    from uml_tf.study.run import run_study

    pytest.importorskip("distributed")
    monkeypatch.chdir(story.folder)
    mlflow.set_tracking_uri(f"sqlite:///{story.folder}/mlruns/mlflow.db")
    display = _Lines()
    study = open_study(Path("both.yaml"), display)
    with pytest.raises(UmlError, match="no scheduler can be reached there"):
        run_study(study, tmp_path, 1, display, scheduler="tcp://127.0.0.1:9")
    (line,) = [told[1] for told in display.told if told[0] == "warn"]
    assert line.startswith("--dask: found a store for one machine")


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
