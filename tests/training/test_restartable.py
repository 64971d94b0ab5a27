"""Which run a command with --restartable resumes."""

from __future__ import annotations

import json
import os
import shutil

import mlflow
import numpy as np

from uml_tf.tracking.store import CHECKPOINT_FILE, CONFIG_FILE, FINISHED_TAG, run_folder, use_store
from uml_tf.tracking.unfinished import running
from uml_tf.training.checkpoint_format import FORMAT
from uml_tf.training.config import TrainingConfig
from uml_tf.training.run import _unfinished


def _run(config, seconds, finished=False, checkpoint=True):
    """A run as a training leaves it, with a checkpoint of that time."""
    with mlflow.start_run(tags={FINISHED_TAG: "train"} if finished else {}) as run:
        folder = run_folder(run.info.run_id)
    folder.mkdir(parents=True)
    (folder / CONFIG_FILE).write_text(config.to_yaml())
    if checkpoint:
        (folder / CHECKPOINT_FILE).touch()
        os.utime(folder / CHECKPOINT_FILE, (seconds, seconds))
    return run.info.run_id


def test_the_newest_unfinished_run_of_the_same_config_and_no_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    use_store()
    config = TrainingConfig(epochs=3).resolved()
    assert _unfinished(config) == ""
    _run(config, 5, finished=True)
    _run(config, 6, checkpoint=False)
    _run(config.model_copy(update={"epochs": 4}), 7)
    assert _unfinished(config) == ""
    _run(config, 1)
    newer = _run(config, 2)
    assert _unfinished(config) == newer


def test_a_run_with_the_checkpoint_of_another_version_is_passed_over(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    use_store()
    config = TrainingConfig(epochs=3).resolved()
    for number in (FORMAT - 1, FORMAT):
        run = _run(config, number)
        progress = np.frombuffer(json.dumps({"format": number}).encode(), np.uint8)
        with (run_folder(run) / CHECKPOINT_FILE).open("wb") as file:
            np.savez(file, progress=progress)
        assert _unfinished(config) == ("" if number < FORMAT else run)


def test_runs_that_cannot_be_resumed_are_passed_over(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    use_store()
    config = TrainingConfig(epochs=3).resolved()
    wanted = _run(config, 1)
    older_version, deleted, alive = (_run(config, seconds) for seconds in (2, 3, 4))
    (run_folder(older_version) / CONFIG_FILE).write_text("a_field_of_then: 1\n")
    shutil.rmtree(run_folder(deleted))
    (run_folder("0" * 32)).mkdir()
    (run_folder("0" * 32) / CHECKPOINT_FILE).touch()
    with running(alive):  # by this process, through another lock
        assert _unfinished(config) == wanted
