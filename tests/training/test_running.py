"""Several processes in one folder: trainings that run, that are killed, and that start at the same time."""

from __future__ import annotations

import re
import signal
import socket

import mlflow
import pytest

# The quickest network to build: what processes do in one folder is the same for all.
NETWORK = """\
preset: unet-edge
encoder_weights: none
image_size: 32
"""
CONFIG = f"""\
{NETWORK}epochs: 1000
phantoms: {{images: 20, size: 64}}
"""


@pytest.fixture
def running(start_uml_tf, tmp_path, phantoms):
    """A training that runs: (process, run id)."""
    (tmp_path / "long.yaml").write_text(f"{NETWORK}epochs: 1000\n")
    process = start_uml_tf("train", "--config", "long.yaml", "--data", phantoms.root, cwd=tmp_path)
    lines = []
    for line in process.stderr:
        lines.append(line)
        if line.startswith("epoch "):
            break
    yield process, re.search(r"--resume (\w{32})", "".join(lines))[1]
    process.kill()
    process.communicate()


RESUMABLE = """\
from uml_tf.tracking.store import use_store
from uml_tf.tracking.unfinished import unfinished_run_id
use_store()
print(unfinished_run_id("last"))
"""


def test_a_running_training_cannot_be_resumed_and_a_killed_one_can(
    running, uml_tf_command, run_python, tmp_path
):
    process, run_id = running
    for reference in ("last", run_id):
        done = uml_tf_command("train", "--resume", reference, cwd=tmp_path, expect=1)
        owner = f"process {process.pid} on {socket.gethostname()}"
        assert done.stderr.splitlines() == [
            f"uml-tf: run {run_id}: found it running ({owner}), expected a training that was stopped"
        ]
    assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert run_python("-c", RESUMABLE, cwd=tmp_path)[0].strip() == run_id


def test_two_trainings_that_start_at_once_in_a_new_folder_share_its_data(start_uml_tf, tmp_path):
    """What each of two then measures and saves, test_registry.py compares."""
    (tmp_path / "long.yaml").write_text(CONFIG)
    processes = [start_uml_tf("train", "--config", "long.yaml", cwd=tmp_path) for _ in range(2)]
    errors = []
    for process in processes:
        lines = []
        for line in process.stderr:
            lines.append(line)
            if line.startswith("epoch "):
                break
        errors.append("".join(lines))
        assert process.poll() is None, errors[-1]
    for process in processes:
        process.kill()
        process.communicate()
    assert sum("drawing phantoms" in text for text in errors) == 1
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlruns/mlflow.db")
    runs = mlflow.search_runs(experiment_names=["uml-tf"], output_format="list")
    assert len(runs) == 2
    assert len({run.data.params["dataset.fingerprint"] for run in runs}) == 1
    for run in runs:
        assert {"train/total", "val/score"} <= set(run.data.metrics)
