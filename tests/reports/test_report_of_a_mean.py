"""``uml-tf report`` of a mean of several predictions: it promises nothing that was fitted for one."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from small_networks import quick_network

from uml_tf.runtime.confidence import Confidence
from uml_tf.runtime.trust import Trust


@pytest.fixture(scope="module")
def report(phantoms, tmp_path_factory, uml_tf_quietly):
    """The words of the report of an evaluation with some options."""
    folder = tmp_path_factory.mktemp("mean")
    fitted = Trust(class_confidence=Confidence("largest", {"largest": 1.0}, 0.0))
    for seed, name in enumerate(("first", "second")):
        network = quick_network(seed, phantoms.info)
        network.card = replace(
            network.card, trust=fitted, accept_above=0.6, fingerprint=phantoms.fingerprint, run_id=name
        )
        network.save(folder / f"{name}.keras")

    def read(split, *options):
        evaluation = folder / f"{split}{len(options)}"
        asked = ("--data", phantoms.root, "--split", split, "--out", evaluation, *options)
        uml_tf_quietly("evaluate", folder / "first.keras", *asked)
        uml_tf_quietly("report", evaluation, "--no-images", "--out", evaluation / "report.html")
        page = (evaluation / "report.html").read_text()
        text = re.sub(r"<style>.*?</style>|<svg.*?</svg>|<[^>]+>", " ", page, flags=re.DOTALL)
        return re.sub(r"\s+", " ", text)

    return read, folder


def test_the_report_of_one_network_tells_its_promise(report):
    text = report[0]("val")
    assert "An answer is accepted from a confidence of 0.600 on." in text
    assert "its thresholds were fitted on these images" in text
    assert "The chance that the class is right" in text
    assert "How little evidence the model found" in text
    assert "mean of" not in text


def _check_that_nothing_is_promised(text):
    assert "thresholds are fitted for a single prediction of one network" in text
    assert "No threshold is marked: a mean of several predictions makes no decisions." in text
    assert "No decision was made on these images." in text
    assert "the largest mean probability: nothing is fitted for a mean of several predictions" in text
    assert "The largest mean probability. It was not fitted on validation pictures" in text
    assert "How evenly the mean probability is spread over the classes (entropy)" in text
    for untrue in (
        "is accepted",
        "is referred",
        "goes to a specialist",
        "thresholds were fitted",
        "How little",
    ):
        assert untrue not in text


def test_the_report_of_a_network_and_its_mirror_images(report):
    text = report[0]("val", "--flips")
    _check_that_nothing_is_promised(text)
    assert "first.keras, the mean of each picture and its mirror image" in text
    assert "the epoch of the model was chosen on these images: its figures are too good" in text
    assert "One of several" not in text


def test_the_report_of_two_networks_says_of_which_it_tells_the_training(report):
    read, folder = report
    text = read("test", "--with", folder / "second.keras")
    _check_that_nothing_is_promised(text)
    assert "first.keras, the mean of 2 models" in text
    assert "One of several what follows is of the first of 2 models" in text
    assert "none of them was used in training the first model" in text
