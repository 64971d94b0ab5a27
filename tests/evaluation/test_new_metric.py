"""A new metric is one new file: the example of docs/extending.md, in a copy of the package, by commands."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from extended_package import copy_with_example, run_in_copy
from small_networks import random_network

FILE = "uml_tf/metrics/youden.py"


@pytest.fixture(scope="module")
def story(tmp_path_factory, phantoms):
    """A copy of the package with the example's file in it, and what its commands gave: (folder, results)."""
    package = copy_with_example(tmp_path_factory.mktemp("extended"), FILE)
    model = random_network(seed=0)
    model.card = replace(
        model.card,
        image_classes=phantoms.info.image_classes,
        pixel_classes=phantoms.info.pixel_classes,
        unions=phantoms.info.unions,
    )
    model.save(package / "random.keras")
    measure = ("evaluate", "random.keras", "--data", phantoms.root, "--out", "measured")
    return package, run_in_copy(package, ("evaluate", "--list-metrics"), measure)


def test_the_metric_is_in_the_list_of_metrics(story):
    listed = story[1][0]
    assert listed.returncode == 0, listed.stderr
    assert "| `youden` | higher | -1 to 1 | Youden's J: sensitivity + specificity - 1" in listed.stdout


def test_the_metric_is_measured_with_an_interval(story, phantoms):
    package, (_, measured) = story
    assert measured.returncode == 0, measured.stderr
    assert "| youden | " in measured.stdout
    found = json.loads((package / "measured/metrics.json").read_text())
    assert found["youden"]["low"] <= found["youden"]["value"] <= found["youden"]["high"]
    assert found["youden"]["images"] == found["accuracy"]["images"] == len(phantoms.split("test"))
    expected = 2 * found["balanced_accuracy"]["value"] - 1
    assert found["youden"]["value"] == pytest.approx(expected)
