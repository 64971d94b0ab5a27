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

from uml_tf.runtime.errors import UmlError
from uml_tf.training.run import resume

EPOCHS = 2  # those of the shared training


def _send(number):
    return lambda process: process.send_signal(number)


def _interrupt_first_step(folder):
    """Sends SIGINT when the state before the first step is saved; the step is still being compiled then."""

    def send(process):
        end = time.monotonic() + 300
        while not list(folder.glob("mlruns/runs/*/checkpoint.npz")):
            assert time.monotonic() < end, "no training saved its state"
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)

    return send


@dataclass
class _Story:
    """The shared training, undisturbed, and another with its config that was disturbed again and again.

    Every disturbance is (exit code, standard error) of the disturbed process. The disk that fills up is in
    test_full_disk.py.
    """

    whole: Path
    folder: Path
    run_id: str
    interrupted: tuple[int, str]
    killed: tuple[int, str]
    file_missing: tuple[int, str]
    missing: Path
    finished: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def story(tmp_path_factory, trained_quickly, phantoms, train_until, uml_tf_command):
    folder = tmp_path_factory.mktemp("resume")
    data = shutil.copytree(phantoms.root, folder / "data")
    (saved,) = (trained_quickly / "mlruns" / "runs").glob("*/config.yaml")  # with it the run can be repeated
    start = ("--config", saved, "--data", "data")
    interrupted = train_until("reading val", _interrupt_first_step(folder), folder, *start)
    run_id = re.search(r"uml-tf train --resume (\w{32})", interrupted[1])[1]
    killed = train_until(rf"epoch +1/{EPOCHS}", _send(signal.SIGKILL), folder, "--resume", run_id)
    image = data / next(row.image for row in phantoms.rows if row.split == "test")
    content = image.read_bytes()
    file_missing = train_until("reading val", lambda _: image.unlink(), folder, "--resume", "last")
    image.write_bytes(content)
    finished = uml_tf_command("train", *start, "--restartable", cwd=folder)
    return _Story(trained_quickly, folder, run_id, interrupted, killed, file_missing, image, finished)


def _run(folder):
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlruns/mlflow.db")
    (run,) = mlflow.search_runs(experiment_names=["uml-tf"], output_format="list")
    return run


def test_ctrl_c_stops_with_a_line_that_tells_how_to_resume(story):
    status, text = story.interrupted
    assert status == 130
    assert "training: stopped in epoch 1 after step 1, all saved" in text
    assert f"all saved; resume with: uml-tf train --resume {story.run_id}" in text


def test_a_test_image_that_is_deleted_during_training_is_one_line(story):
    status, text = story.file_missing
    assert status == 1
    assert re.search(rf"^uml-tf: {story.missing}: no such file", text, re.M)


def test_resumed_run_is_the_same_run_and_finishes(story):
    assert story.killed[0] == -signal.SIGKILL
    assert f"run {story.run_id}" in story.finished.stdout
    assert not re.search(r"^epoch", story.finished.stderr, re.M)  # all epochs were finished before
    resumed = _run(story.folder)
    assert resumed.info.run_id == story.run_id
    assert resumed.info.status == "FINISHED"
    assert not (story.folder / "mlruns/runs" / story.run_id / "checkpoint.npz").exists()


def _state(folder):
    """The weights of the only run of a folder, and its curves as {metric: {epoch: value}}."""
    run = _run(folder).info.run_id
    weights = keras.models.load_model(folder / "mlruns/runs" / run / "model.keras").get_weights()
    client = mlflow.MlflowClient()
    names = ("train/total", "val/score", "learning_rate")
    return weights, {
        name: {point.step: point.value for point in client.get_metric_history(run, name)} for name in names
    }


def test_weights_and_losses_equal_those_of_an_uninterrupted_run(story):
    whole, resumed = (_state(folder) for folder in (story.whole, story.folder))
    for expected, found in zip(whole[0], resumed[0], strict=True):
        np.testing.assert_array_equal(found, expected)
    assert resumed[1] == whole[1]
    assert all(sorted(found) == list(range(EPOCHS)) for found in whole[1].values())


def test_finished_and_unknown_runs_cannot_be_resumed(story, uml_tf_command, monkeypatch):
    folder, run_id = story.folder, story.run_id
    done = uml_tf_command("train", "--resume", run_id, cwd=folder, expect=1)
    assert "found a finished training" in done.stderr
    uml_tf_command("train", "--resume", run_id, "--epochs", 3, cwd=folder, expect=2)
    monkeypatch.chdir(folder)
    with pytest.raises(UmlError, match="found no checkpoint"):
        resume("last")
    with pytest.raises(UmlError, match="found no such run"):
        resume("0" * 32)


def test_run_records_code_packages_and_machine(story):
    params = _run(story.folder).data.params
    assert re.fullmatch(r"[0-9a-f]{40}(\+changes)?|unknown", params["git.commit"])
    assert params["version.tensorflow"]
    assert params["machine.cpus"] == str(os.cpu_count())
    assert params["seed"] == "5"
