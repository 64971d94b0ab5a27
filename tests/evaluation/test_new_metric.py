"""A new metric is one new file: the example of docs/extending.md, in a copy of the package, by commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest
from extended_package import copy_with_example
from small_networks import random_network

FILE = "uml_tf/metrics/youden.py"


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """A copy of the package with the example's file in it: the folder to run in."""
    return copy_with_example(tmp_path_factory.mktemp("extended"), FILE)


def _run(package, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(package)}
    command = [sys.executable, "-c", "from uml_tf.cli.main import main; main()", *map(str, arguments)]
    done = subprocess.run(command, cwd=package, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_metric_is_in_the_list_of_metrics(package):
    listed = _run(package, "evaluate", "--list-metrics")
    assert "| `youden` | higher | -1 to 1 | Youden's J: sensitivity + specificity - 1" in listed


def test_the_metric_is_measured_with_an_interval(package, phantoms):
    model = random_network(seed=0)
    model.card = replace(
        model.card,
        image_classes=phantoms.info.image_classes,
        pixel_classes=phantoms.info.pixel_classes,
        unions=phantoms.info.unions,
    )
    model.save(package / "random.keras")
    printed = _run(package, "evaluate", "random.keras", "--data", phantoms.root, "--out", "measured")
    assert "| youden | " in printed
    found = json.loads((package / "measured/metrics.json").read_text())
    assert found["youden"]["low"] <= found["youden"]["value"] <= found["youden"]["high"]
    assert found["youden"]["images"] == found["accuracy"]["images"] == len(phantoms.split("test"))
    expected = 2 * found["balanced_accuracy"]["value"] - 1
    assert found["youden"]["value"] == pytest.approx(expected)
