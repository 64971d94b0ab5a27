"""Two devices, and two processes on one machine, give the results of one device."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import mlflow
import numpy as np
import pytest
import yaml

from uml_tf.data.pipeline import load_examples
from uml_tf.runtime.errors import UmlError
from uml_tf.training.build import build_loop
from uml_tf.training.cluster import Cluster, read_tf_config
from uml_tf.training.config import parse_config
from uml_tf.training.display import SILENT
from uml_tf.training.recording import epoch_metrics

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"

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
    """Ports below those that the system hands out, which another test could get before the workers do."""
    ports = []
    while len(ports) < count:
        with socket.socket() as one:
            port = random.SystemRandom().randrange(15000, 32000)
            with contextlib.suppress(OSError):
                one.bind(("127.0.0.1", port))
                ports.append(port)
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


def _of_pod(index, addresses):
    """(command, environment) that Kubernetes gives a pod of the example, with other addresses."""
    service, job = yaml.safe_load_all((EXAMPLES / "kubernetes.yaml").read_text())
    (container,) = job["spec"]["template"]["spec"]["containers"]
    name, subdomain = job["metadata"]["name"], job["spec"]["template"]["spec"]["subdomain"]
    assert service["metadata"]["name"] == subdomain
    assert service["spec"]["selector"] == {"job-name": name}
    variables = {}
    for entry in container["env"]:
        value = entry.get("value", str(index))
        assert "value" in entry or "job-completion-index" in entry["valueFrom"]["fieldRef"]["fieldPath"]
        for known, text in variables.items():
            value = value.replace(f"$({known})", text)
        variables[entry["name"]] = value
    assert variables.pop("UML_TF_CACHE").startswith("/work/")  # of a volume that is not here
    for pod, address in enumerate(addresses):
        assert f"{name}-{pod}.{subdomain}:7000" in variables["TF_CONFIG"]
        variables["TF_CONFIG"] = variables["TF_CONFIG"].replace(f"{name}-{pod}.{subdomain}:7000", address)
    assert job["spec"]["completions"] == job["spec"]["parallelism"] == len(addresses)
    return container["command"], variables


@pytest.fixture(scope="module")
def start_pods(start_uml_tf):
    """Starts the pods of the example for Kubernetes on this machine, each in a folder of its own."""

    def start(folders, config, data):
        addresses = [f"127.0.0.1:{port}" for port in _free_ports(len(folders))]
        workers = []
        for index, folder in enumerate(folders):
            (program, *arguments), variables = _of_pod(index, addresses)
            paths = {"/config/train.yaml": config, "/data": data}
            assert program == "uml-tf"
            given = [paths.get(word, word) for word in arguments]
            workers.append(_Worker(start_uml_tf(*given, cwd=folder, **variables)))
        return workers

    return start


@pytest.fixture(scope="module")
def run_slurm(tmp_path_factory):
    """Runs the example for Slurm with two tasks on this machine, each in a folder of its own.

    ``scontrol`` and ``srun`` are replaced by what they do for one node.
    """

    def run(folders, config, data):
        tools = tmp_path_factory.mktemp("slurm")
        first, second = map(shlex.quote, map(str, folders))
        programs = {
            "scontrol": 'test "$*" = "show hostnames node[1]" && echo 127.0.0.1',
            "srun": f'shift; (cd {first}; SLURM_PROCID=0 "$@") & cd {second}; SLURM_PROCID=1 "$@" && wait $!',
        }
        for name, line in programs.items():
            (tools / name).write_text(f"#!/bin/bash\n{line}\n")
            (tools / name).chmod(0o755)
        (port,) = _free_ports(1)
        path = f"{tools}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        slurm = {"SLURM_JOB_NODELIST": "node[1]", "SLURM_NTASKS_PER_NODE": "2", "PORT": str(port)}
        return subprocess.run(
            ["bash", str(EXAMPLES / "slurm.sh"), str(config), str(data)],
            env={name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
            | {"PATH": path}
            | slurm,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def _epochs_of_one(phantoms):
    """The measures of each epoch of this process alone, by the names of the run's metrics."""
    config = parse_config(CONFIG, "config", {}).resolved()
    size = (config.image_size, config.image_size)
    splits = {name: load_examples(phantoms, name, size) for name in ("train", "val")}
    loop = build_loop(config, phantoms, splits, SILENT, Cluster.alone())
    measured = []
    loop.listener.epoch = lambda report: measured.append(epoch_metrics(report, phantoms.info.pixel_classes))
    loop.run()
    return measured


@pytest.fixture(scope="module")
def one_and_two(tmp_path_factory, phantoms, start_pods, run_slurm):
    """The epochs of one process; and two pods, of which one is killed, resumed by two tasks of Slurm."""
    two = [tmp_path_factory.mktemp(name) for name in ("chief", "helper")]
    for folder in two:
        (folder / "tiny.yaml").write_text(CONFIG)
    arguments = ("tiny.yaml", phantoms.root)
    one = _epochs_of_one(phantoms)
    chief, helper = start_pods(two, *arguments)
    assert chief.on(r"^epoch +1/2").wait(600), chief.lines
    helper.process.send_signal(signal.SIGKILL)
    lost = chief.end()
    helper.end()
    return one, two, lost, run_slurm(two, *arguments)


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
    resumed = one_and_two[3]
    assert resumed.returncode == 0, resumed.stderr
    assert "worker 1: done" in resumed.stdout
    assert re.search(r"^model +\S+model\.keras$", resumed.stdout, re.M)


def test_two_workers_have_the_losses_of_one(one_and_two):
    one, (chief, _), _, _ = one_and_two
    for name in ("train/cls", "train/seg", "train/mut", "train/total", "learning_rate"):
        expected, found = [epoch[name] for epoch in one], _history(chief, name)
        assert len(found) == len(expected) == 2
        np.testing.assert_allclose(found, expected, rtol=RELATIVE, err_msg=name)
    expected = [epoch["val/class_uncertainty"] for epoch in one]
    np.testing.assert_allclose(_history(chief, "val/class_uncertainty"), expected, rtol=1e-3)


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


@pytest.mark.parametrize("index", [-1, 2])
def test_an_index_outside_the_cluster_is_one_line(monkeypatch, index):
    configured = {"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": index}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(configured))
    with pytest.raises(UmlError, match=r"^TF_CONFIG: found .*, expected TensorFlow's cluster and task$"):
        read_tf_config()


def test_a_taken_port_is_named(uml_tf_command, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        workers = f"127.0.0.1:{port},127.0.0.1:1"
        done = uml_tf_command("train", "--workers", workers, "--index", 0, cwd=tmp_path, expect=1)
    assert f"port {port} cannot be opened here" in done.stderr
