"""A full disk ends in one line, whichever write meets it first, and nothing that was saved is lost."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import mlflow
import numpy as np
import pytest

from uml_tf.networks.files import read_network

FULL = r"No space left on device|disk is full|disk I/O error|unable to open database file"


@pytest.fixture(scope="module")
def story(small_disk, phantoms, trained_quickly, run_python):
    """(folder, moment -> end of the training then, standard error) of tests/full_disk.py."""
    folder = small_disk("60m")
    shutil.copytree(phantoms.root, folder / "data")
    shutil.copy(trained_quickly / "quick.yaml", folder)
    output, errors = run_python(Path(__file__).parents[1] / "full_disk.py", "data", cwd=folder)
    return folder, dict(line.split(": ", 1) for line in output.splitlines()), errors


def test_every_writer_reports_the_full_disk_in_one_line(story):
    _, ends, _ = story
    saved_by = {
        "new database, 0 left": "MLflow store sqlite",
        "reading val, 0 left": "new run: cannot be saved in sqlite",
        "step 1 of epoch 1, 0 left": "epoch 1: cannot be saved in sqlite",
        "epoch 1, 0 left": r".*checkpoint\.npz: cannot be written",
        "evaluating test, 4000000 left": ".*cannot be (written|saved)",
    }
    for moment, expected in saved_by.items():
        assert re.fullmatch(rf"{expected}.*\(.*({FULL}).*\).*", ends[moment]), (moment, ends[moment])


def test_no_library_prints_a_traceback_or_a_log_of_its_own(story):
    _, _, errors = story
    for text in ("Traceback", "SQLAlchemy", "sqlite3", "AutoGraph", "Exception ignored"):
        assert text not in errors


def test_with_free_space_the_training_finishes_and_is_complete(story):
    folder, ends, _ = story
    assert ends["never, 0 left"] == "finished"
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlruns/mlflow.db")
    runs = mlflow.search_runs(experiment_names=["uml-tf"], output_format="list")
    (run,) = (run for run in runs if "uml_tf.finished" in run.data.tags)
    assert run.info.status == "FINISHED"
    points = mlflow.MlflowClient().get_metric_history(run.info.run_id, "val/score")
    assert {point.step for point in points} == {0, 1}
    files = {file.path for file in mlflow.artifacts.list_artifacts(run_id=run.info.run_id)}
    assert files == {
        *("calibration.csv", "config.yaml", "figures", "images.csv", "measures.npz", "metrics.json"),
        "metrics.md",
        *("model.keras", "training_images.txt"),
    }


def test_its_weights_are_those_of_a_training_that_met_no_full_disk(story, trained_quickly):
    whole, found = (
        next(network.get_weights() for network in map(read_network, folder.glob("mlruns/runs/*/model.keras")))
        for folder in (trained_quickly, story[0])
    )
    for expected, weights in zip(whole, found, strict=True):
        np.testing.assert_array_equal(weights, expected)


def test_a_read_only_disk_is_one_line(small_disk, phantoms, uml_tf_command):
    folder = small_disk("1m", read_only=True)
    for arguments in (("--data", phantoms.root), ("--resume", "last")):
        done = uml_tf_command("train", *arguments, cwd=folder, expect=1)
        (line,) = (line for line in done.stderr.splitlines() if not line.startswith("reading"))
        assert re.match(r"uml-tf: MLflow store .*Read-only file system", line)
