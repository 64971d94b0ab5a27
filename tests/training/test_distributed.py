"""Two devices, and two processes on one machine, give the results of one device."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import mlflow
import numpy as np
import pytest

# Rounding differs between one process and two, and Adam amplifies any difference within a few full-size
# steps; with small steps the losses must stay equal.
CONFIG = """\
epochs: 2
image_size: 64
seed: 5
learning_rate: 1.0e-6
"""
RELATIVE = 2e-5


def test_parts_of_a_step_on_two_devices_equal_one():
    script = Path(__file__).parents[1] / "two_devices.py"
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    norms = ["norm equal", "norm_of_some equal", "norm_of_one_device equal", "norm_of_none equal"]
    parts = ["dropout equal", "loss_by_parts equal", "loss equal", "steps equal", "devices agree"]
    assert done.stdout.splitlines() == [*norms, *parts, "spread equal", "limits reported"]


def _free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class _Worker:
    """A worker whose standard error is read line by line."""

    def __init__(self, process):
        self.process = process
        self.lines = []
        self.seen = {}
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        for line in self.process.stderr:
            self.lines.append(line)
            for pattern, event in self.seen.items():
                if re.search(pattern, line):
                    event.set()

    def on(self, pattern):
        self.seen[pattern] = threading.Event()
        return self.seen[pattern]

    def end(self):
        output = self.process.stdout.read()
        self.process.wait(timeout=600)
        self._reader.join()
        return self.process.returncode, output, "".join(self.lines)


@pytest.fixture(scope="module")
def start_two(start_uml_tf):
    def start(folders, *arguments):
        workers = ",".join(f"127.0.0.1:{port}" for port in _free_ports(2))
        return [
            _Worker(start_uml_tf("train", *arguments, "--workers", workers, "--index", index, cwd=folder))
            for index, folder in enumerate(folders)
        ]

    return start


@pytest.fixture(scope="module")
def one_and_two(tmp_path_factory, phantoms, start_two, uml_tf_command):
    """One process; and two, of which one is killed, resumed by two: (folders, exit codes and outputs)."""
    one, *two = (tmp_path_factory.mktemp(name) for name in ("one", "chief", "helper"))
    for folder in (one, *two):
        (folder / "tiny.yaml").write_text(CONFIG)
    arguments = ("--config", "tiny.yaml", "--data", phantoms.root)
    uml_tf_command("train", *arguments, cwd=one)
    chief, helper = start_two(two, *arguments)
    assert chief.on(r"^epoch +1/2").wait(600), chief.lines
    helper.process.send_signal(signal.SIGKILL)
    lost = chief.end()
    helper.end()
    resumed = [worker.end() for worker in start_two(two, "--resume", "last")]
    return one, two, lost, resumed


def _run(folder):
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlruns/mlflow.db")
    (run,) = mlflow.search_runs(experiment_names=["uml-tf"], output_format="list")
    return run


def _history(folder, name):
    run = _run(folder)
    points = mlflow.MlflowClient().get_metric_history(run.info.run_id, name)
    return [point.value for point in sorted(points, key=lambda point: point.step)]


def test_a_killed_worker_ends_the_others_with_one_line(one_and_two):
    status, _, errors = one_and_two[2]
    assert status == 1
    assert re.search(
        r"^uml-tf: training: another worker ended.*resume with: uml-tf train --resume \w{32}$", errors, re.M
    )
    assert "Traceback" not in errors


def test_two_workers_resume_after_that_and_finish(one_and_two):
    _, _, _, ((chief, output, errors), (helper, helper_output, _)) = one_and_two
    assert (chief, helper) == (0, 0), errors
    assert "worker 1: done" in helper_output
    assert re.search(r"^model +\S+model\.keras$", output, re.M)


def test_two_workers_have_the_losses_of_one(one_and_two):
    one, (chief, _), _, _ = one_and_two
    for name in ("train/cls", "train/seg", "train/mut", "train/total", "learning_rate"):
        expected, found = _history(one, name), _history(chief, name)
        assert len(found) == len(expected) == 2
        np.testing.assert_allclose(found, expected, rtol=RELATIVE, err_msg=name)
    np.testing.assert_allclose(
        _history(chief, "val/class_uncertainty"), _history(one, "val/class_uncertainty"), rtol=1e-3
    )


def test_only_the_chief_saves_anything(one_and_two):
    _, (chief, helper), _, _ = one_and_two
    assert _run(chief).data.params["machine.workers"] == "2"
    assert {path.name for path in helper.iterdir()} == {"tiny.yaml"}


@pytest.mark.parametrize(
    ("arguments", "status", "line"),
    [
        (("--workers", "a:1,b:2"), 2, "--workers and --index go together"),
        (("--workers", "a,b", "--index", 0), 1, "--workers: found 'a', expected host:port"),
        (("--workers", "a:1,b:2", "--index", 2), 1, "--index: found 2, expected 0 to 1"),
        (("--workers", "a:1,a:1", "--index", 0), 1, "found the same address twice"),
    ],
)
def test_bad_addresses_are_one_line(uml_tf_command, tmp_path, arguments, status, line):
    done = uml_tf_command("train", *arguments, cwd=tmp_path, expect=status)
    assert line in done.stderr


def test_a_taken_port_is_named(uml_tf_command, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        workers = f"127.0.0.1:{port},127.0.0.1:1"
        done = uml_tf_command("train", "--workers", workers, "--index", 0, cwd=tmp_path, expect=1)
    assert f"port {port} cannot be opened here" in done.stderr
