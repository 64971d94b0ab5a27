"""``uml-tf evaluate`` with the mean of several predictions, by the real command."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from small_networks import quick_network

from uml_tf.evaluation.calibration_stages import MEASURES
from uml_tf.evaluation.evaluate import read_chunks
from uml_tf.evaluation.keras_predictor import KerasPredictor
from uml_tf.evaluation.origin import load_origin
from uml_tf.evaluation.stage_counts import CONFIDENCE
from uml_tf.metrics.calibration import expected_calibration_error
from uml_tf.runtime.trust import NO_TRUST, Trust


@pytest.fixture(scope="module")
def networks(phantoms, tmp_path_factory):
    """A folder with two networks, and the class probabilities of both and of the first's mirror images."""
    folder, (first, second) = (
        tmp_path_factory.mktemp("mean"),
        (quick_network(n, phantoms.info) for n in (0, 1)),
    )
    for name, network, temperature in (("first", first, 2.0), ("second", second, 0.5)):
        trust = Trust(class_temperature=temperature, mask_temperature=temperature)
        network.card = replace(network.card, trust=trust, accept_above=0.6, run_id=name)
        network.save(folder / f"{name}.keras")
    (chunk,) = read_chunks(phantoms, "val")
    images = chunk.inputs(KerasPredictor(first, is_compiled=False)).images

    def said(network, images):
        return KerasPredictor(network, is_compiled=False)(images)["class_probability"]

    mirrored = np.ascontiguousarray(images[:, :, ::-1])
    return folder, said(first, images), said(second, images), said(first, mirrored)


def _evaluated(run, folder, phantoms, *options):
    """Probabilities of the images, numbers, and how they were averaged, as the command writes them."""
    common = ("evaluate", folder / "first.keras", "--data", phantoms.root, "--split", "val")
    out = folder / options[0].strip("-")
    run(*common, "--out", out, *options)
    rows = list(csv.DictReader((out / "images.csv").open()))
    assert {row["decision"] for row in rows} == {""}
    found = [[float(row[f"probability_{name}"]) for name in phantoms.info.image_classes] for row in rows]
    numbers = json.loads((out / "metrics.json").read_text())
    assert "accuracy" in numbers
    assert not {"accepted", "referred", "quality_error"} & set(numbers)
    _check_that_nothing_is_fitted(out, phantoms, np.array(found))
    return np.array(found), json.loads((out / "evaluation.json").read_text())["mean_of"]


def _check_that_nothing_is_fitted(out, phantoms, probability):
    """The card is the mean's own, and the only stage of calibration that of its largest probability."""
    card = load_origin(out).card
    assert (card.run_id, card.trust, card.accept_above) == ("first", NO_TRUST, None)
    rows = list(csv.DictReader((out / "calibration.csv").open()))
    assert {(row["part"], row["stage"]) for row in rows} == {("class", CONFIDENCE)}
    assert [row["measure"] for row in rows[:-1]] == list(MEASURES)
    labels = np.array([phantoms.label_index(row) for row in phantoms.split("val")])
    error = expected_calibration_error(probability.max(axis=1), probability.argmax(axis=1) == labels)
    assert float(rows[0]["value"]) == pytest.approx(error, abs=1e-5)
    assert "the temperature" not in (out / "metrics.md").read_text()


def test_the_mean_with_another_model(networks, run, phantoms):
    folder, first, second, _ = networks
    found, mean_of = _evaluated(run, folder, phantoms, "--with", folder / "second.keras")
    assert mean_of == "2 models"
    assert np.abs(first - second).max() > 0.05
    np.testing.assert_allclose(found, (first + second) / 2, atol=1e-3)


def test_the_mean_with_the_mirror_images(networks, run, phantoms):
    folder, first, _, mirrored = networks
    found, mean_of = _evaluated(run, folder, phantoms, "--flips")
    assert mean_of == "flips"
    assert np.abs(first - mirrored).max() > 0.005
    np.testing.assert_allclose(found, (first + mirrored) / 2, atol=1e-3)


def test_the_mean_of_passes_with_dropout(networks, run, phantoms):
    folder, first, _, _ = networks
    found, mean_of = _evaluated(run, folder, phantoms, "--passes", 3)
    assert mean_of == "3 passes with dropout"
    assert np.abs(found - first).max() > 1e-3
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-3)
