"""A training that is interrupted, killed and disturbed gives the result of an undisturbed one."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import keras
import mlflow
import numpy as np
import pytest

import uml_tf.networks.uml  # noqa: F401

# Enough short epochs that on a busy machine none of the disturbances comes after the last of them.
EPOCHS = 30
CONFIG = f"""\
epochs: {EPOCHS}
image_size: 64
seed: 5
"""
EPOCH_LINE = rf"epoch +\d+/{EPOCHS}"


def _send(number, delay):
    def send(process):
        time.sleep(delay)
        process.send_signal(number)

    return send


def _fill(folder):
    # Unbuffered: a buffer would be written again when the file is closed, and fail there.
    with (folder / "filler").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 2**16)
        except OSError:
            return


@dataclass
class _Story:
    """An undisturbed training, and another with the same config that was disturbed again and again.

    Every disturbance is (exit code, standard error) of the disturbed process.
    """

    folder: Path
    run_id: str
    interrupted: tuple[int, str]
    killed: tuple[int, str]
    disk_full: tuple[int, str] | None
    file_missing: tuple[int, str]
    missing: Path
    finished: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def story(tmp_path_factory, small_disk, phantoms, train_until, uml_tf_command):
    disk = small_disk("250m", optional=True)
    folder = disk or tmp_path_factory.mktemp("resume")
    data = shutil.copytree(phantoms.root, folder / "data")
    (folder / "tiny.yaml").write_text(CONFIG)
    uml_tf_command("train", "--config", "tiny.yaml", "--data", "data", cwd=folder)
    (saved,) = (folder / "mlruns" / "runs").glob("*/config.yaml")  # with it the run can be repeated
    interrupted = train_until(EPOCH_LINE, _send(signal.SIGINT, 0.1), folder, "--config", saved)
    run_id = re.search(r"uml-tf train --resume (\w{32})", interrupted[1])[1]
    killed = train_until(EPOCH_LINE, _send(signal.SIGKILL, 0.1), folder, "--resume", run_id)
    disk_full = None
    if disk:
        disk_full = train_until(EPOCH_LINE, lambda _: _fill(folder), folder, "--resume", "last")
        (folder / "filler").unlink()
    image = data / next(row.image for row in phantoms.rows if row.split == "test")
    content = image.read_bytes()
    file_missing = train_until(EPOCH_LINE, lambda _: image.unlink(), folder, "--resume", "last")
    image.write_bytes(content)
    finished = uml_tf_command("train", "--resume", "last", cwd=folder)
    return _Story(folder, run_id, interrupted, killed, disk_full, file_missing, image, finished)


def _runs(folder):
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlruns/mlflow.db")
    runs = mlflow.search_runs(experiment_names=["uml-tf"], output_format="list")
    return sorted(runs, key=lambda run: run.info.start_time)


def test_ctrl_c_stops_with_a_line_that_tells_how_to_resume(story):
    status, text = story.interrupted
    assert status == 130
    assert f"all saved; resume with: uml-tf train --resume {story.run_id}" in text


def test_a_full_disk_is_one_line(story, small_disk):
    if story.disk_full is None:
        small_disk("1m")  # skips
    status, text = story.disk_full
    assert status == 1
    assert re.search(r"^uml-tf: .*(No space left on device|disk is full)", text, re.M)


def test_a_test_image_that_is_deleted_during_training_is_one_line(story):
    status, text = story.file_missing
    assert status == 1
    assert re.search(rf"^uml-tf: {story.missing}: no such file", text, re.M)


def test_resumed_run_is_the_same_run_and_finishes(story):
    assert story.killed[0] == -signal.SIGKILL
    assert f"run {story.run_id}" in story.finished.stdout
    assert not re.search(r"^epoch", story.finished.stderr, re.M)  # all epochs were finished before
    _, resumed = _runs(story.folder)
    assert resumed.info.run_id == story.run_id
    assert resumed.info.status == "FINISHED"
    assert not (story.folder / "mlruns/runs" / story.run_id / "checkpoint.npz").exists()


def test_weights_and_losses_equal_those_of_an_uninterrupted_run(story):
    folder = story.folder
    runs = _runs(folder)
    whole, resumed = (
        keras.models.load_model(folder / "mlruns/runs" / run.info.run_id / "model.keras") for run in runs
    )
    for expected, found in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)
    client = mlflow.MlflowClient()
    for name in ("train/total", "val/score", "learning_rate"):
        expected, found = (
            {point.step: point.value for point in client.get_metric_history(run.info.run_id, name)}
            for run in runs
        )
        assert found == expected
        assert sorted(found) == list(range(EPOCHS))


def test_finished_and_unknown_runs_cannot_be_resumed(story, uml_tf_command):
    folder, run_id = story.folder, story.run_id
    done = uml_tf_command("train", "--resume", run_id, cwd=folder, expect=1)
    assert "found a finished training" in done.stderr
    done = uml_tf_command("train", "--resume", "last", cwd=folder, expect=1)
    assert "found no checkpoint" in done.stderr
    done = uml_tf_command("train", "--resume", "0" * 32, cwd=folder, expect=1)
    assert "found no such run" in done.stderr
    uml_tf_command("train", "--resume", run_id, "--epochs", 3, cwd=folder, expect=2)


def test_run_records_code_packages_and_machine(story):
    params = _runs(story.folder)[0].data.params
    assert re.fullmatch(r"[0-9a-f]{40}(\+changes)?|unknown", params["git.commit"])
    assert params["version.tensorflow"]
    assert params["machine.cpus"] == str(os.cpu_count())
    assert params["seed"] == "5"
