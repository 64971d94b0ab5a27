"""A training that is interrupted and killed ends as one that was not."""

from __future__ import annotations

import os
import re
import signal
import time

import keras
import mlflow
import numpy as np
import pytest

import uml_tf.networks  # noqa: F401

CONFIG = """\
epochs: 4
image_size: 64
seed: 5
"""


def _send(number, delay):
    def send(process):
        time.sleep(delay)
        process.send_signal(number)

    return send


@pytest.fixture(scope="module")
def whole_and_interrupted(tmp_path_factory, phantoms, train_until, uml_tf_command):
    folder = tmp_path_factory.mktemp("resume")
    (folder / "tiny.yaml").write_text(CONFIG)
    uml_tf_command("train", "--config", "tiny.yaml", "--data", phantoms.root, cwd=folder)
    (logged,) = (folder / "mlruns" / "runs").glob("*/config.yaml")  # repeats the run by itself
    first = train_until(r"epoch +1/4", _send(signal.SIGINT, 0.2), folder, "--config", logged)
    run_id = re.search(r"uml-tf train --resume (\w{32})", first[1])[1]
    killed, _ = train_until(r"epoch +\d/4", _send(signal.SIGKILL, 0.3), folder, "--resume", run_id)
    done = uml_tf_command("train", "--resume", "last", cwd=folder)
    return folder, run_id, first, killed, done


def _runs(folder):
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlruns/mlflow.db")
    runs = mlflow.search_runs(experiment_names=["uml-tf"], output_format="list")
    return sorted(runs, key=lambda run: run.info.start_time)


def test_ctrl_c_stops_with_a_line_that_says_how_to_go_on(whole_and_interrupted):
    _, run_id, (status, text), _, _ = whole_and_interrupted
    assert status == 130
    assert f"all saved; go on with: uml-tf train --resume {run_id}" in text
    assert "Traceback" not in text


def test_resumed_run_is_the_same_run_and_finishes(whole_and_interrupted):
    folder, run_id, _, killed, done = whole_and_interrupted
    assert killed == -signal.SIGKILL
    assert f"run {run_id}" in done.stdout
    _, resumed = _runs(folder)
    assert resumed.info.run_id == run_id
    assert resumed.info.status == "FINISHED"
    assert not (folder / "mlruns/runs" / run_id / "checkpoint.npz").exists()


def test_weights_and_losses_equal_those_of_an_uninterrupted_run(whole_and_interrupted):
    folder, *_ = whole_and_interrupted
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
        assert list(sorted(found)) == [0, 1, 2, 3]


def test_finished_and_unknown_runs_cannot_be_resumed(whole_and_interrupted, uml_tf_command):
    folder, run_id, *_ = whole_and_interrupted
    done = uml_tf_command("train", "--resume", run_id, cwd=folder, expect=1)
    assert "found a finished training" in done.stderr
    done = uml_tf_command("train", "--resume", "last", cwd=folder, expect=1)
    assert "found no checkpoint" in done.stderr
    done = uml_tf_command("train", "--resume", "0" * 32, cwd=folder, expect=1)
    assert "found no such run" in done.stderr
    uml_tf_command("train", "--resume", run_id, "--epochs", 3, cwd=folder, expect=2)


def test_run_records_what_it_was_made_with(whole_and_interrupted):
    params = _runs(whole_and_interrupted[0])[0].data.params
    assert re.fullmatch(r"[0-9a-f]{40}(\+changes)?|unknown", params["git.commit"])
    assert params["version.tensorflow"]
    assert params["machine.cpus"] == str(os.cpu_count())
    assert params["seed"] == "5"
