"""Two processes that share every batch take the steps of one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from forked_commands import start_script
from small_steps import steps
from test_distributed import _free_ports, _of_pod

from uml_tf.training.cluster import Cluster

SCRIPT = Path(__file__).parents[1] / "two_workers.py"


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Results of this process, and of the two pods of the example for Kubernetes."""

    def start(*modes, **variables):
        return start_script(SCRIPT, *modes, cwd=tmp_path_factory.mktemp("worker"), **variables)

    addresses = [f"127.0.0.1:{port}" for port in _free_ports(2)]
    workers = [start("global", "device", **_of_pod(index, addresses)[1]) for index in range(2)]
    losses, values = steps(Cluster.alone())
    alone = {
        "global": [losses, [float(np.sum(copy)) for (copy,) in values]],
        "sent": Cluster.alone().from_chief(lambda: b"from the chief").decode(),
    }
    answers = [worker.communicate(timeout=1800) for worker in workers]
    for worker, (_, errors) in zip(workers, answers, strict=True):
        assert worker.returncode == 0, errors[-3000:]
    return [alone, *(json.loads(output) for output, _ in answers)]


def test_with_statistics_of_the_whole_batch_nothing_changes(found):
    one, chief, helper = found
    for worker in (chief, helper):
        for values, expected in zip(worker["global"], one["global"], strict=True):
            np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-5)


def test_with_those_of_each_worker_both_still_have_the_same_network(found):
    _, chief, helper = found
    assert chief["device"] == helper["device"]
    assert chief["device"][0] != pytest.approx(chief["global"][0], rel=1e-3)


def test_bytes_reach_the_other_worker(found):
    assert {part["sent"] for part in found} == {"from the chief"}
