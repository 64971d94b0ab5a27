"""Images in which a locator found nothing: they are always referred, so no threshold is fitted on them."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, replace

import keras
import numpy as np
import pytest
from small_networks import SIZE, finding_network, quick_network

from uml_tf.data.dataset import PreparedDataset
from uml_tf.data.pipeline import load_examples
from uml_tf.data.reading import read_row
from uml_tf.evaluation.evaluate import evaluate
from uml_tf.evaluation.image_table import image_table
from uml_tf.evaluation.keras_predictor import KerasPredictor
from uml_tf.evaluation.opening import as_model
from uml_tf.export.kind import Request
from uml_tf.export.kinds import KINDS
from uml_tf.export.metadata import add_metadata, describe
from uml_tf.export.tflite import convert_network
from uml_tf.networks import UML
from uml_tf.networks.files import weights_sha256
from uml_tf.runtime.device_model import DeviceModel
from uml_tf.runtime.predictor import predict_all
from uml_tf.runtime.roi import Roi
from uml_tf.runtime.two_pass import TwoPass, locate
from uml_tf.training.accept_threshold import fit_accept_above
from uml_tf.training.calibrate import calibrate_file, calibrate_network, site_examples

RISK_TARGET, CONFIDENCE = 0.2, 0.8
PROMISE = (RISK_TARGET, CONFIDENCE)


@dataclass
class _Site:
    """A network with its locator, and a data set whose class it gets wrong wherever nothing is found."""

    network: UML
    locator: UML
    dataset: PreparedDataset
    found: np.ndarray


def _found(locator, dataset, roi):
    """In which training images a locator finds its region."""
    model = KerasPredictor(locator, 1, is_compiled=False)
    images = (read_row(dataset, row)[0] for row in dataset.split("train"))
    return np.array([locate(model, image, roi).box is not None for image in images])


def _missing_some(locator, dataset):
    """Makes a locator so sure of the background that it finds nothing in eight of the training images."""
    graph, model = locator.training_model, KerasPredictor(locator, 1, is_compiled=False)
    mutual = graph.get_layer("mutual_logits_1")
    mutual.set_weights([np.zeros_like(values) for values in mutual.get_weights()])
    layer = graph.get_layer("navigator_logits_1")
    images = (read_row(dataset, row)[0] for row in dataset.split("train"))
    inputs = np.stack([model.place(image).image(image) for image in images])
    features = keras.Model(graph.input, layer.input)(inputs).numpy()
    flat, kernel = features.reshape(-1, features.shape[-1]), layer.kernel.numpy()
    surest = np.sort((features @ kernel[0, 0, :, 1]).max(axis=(1, 2)))
    one = np.linalg.lstsq(flat, np.ones(len(flat)), rcond=None)[
        0
    ]  # in place of a bias, which there is none of
    kernel[0, 0] += surest[7:9].mean() * one[:, None] * np.array([1, -1, -1])
    layer.kernel.assign(kernel)


@pytest.fixture(scope="module")
def site(oblong):
    locator = finding_network(2, load_examples(oblong, "val", SIZE))
    locator.card = replace(locator.card, unions={"disc": ("region 1", "region 2")})
    _missing_some(locator, oblong)
    roi = Roi("disc", 0.2, weights_sha256(locator))
    found = _found(locator, oblong, roi)
    assert 4 <= (~found).sum() <= 12
    network = quick_network(3, oblong.info)
    network.card = replace(network.card, fit="letterbox", roi=roi)
    outputs = predict_all(
        KerasPredictor(network), site_examples(as_model(network, locator), oblong, "train").images
    )
    right = found.copy()
    right[np.flatnonzero(found)[outputs["class_confidence"][found, 0].argsort()[:3]]] = False
    predicted = outputs["class_probability"].argmax(axis=1)
    labels = {
        row.image: oblong.info.image_classes[k if ok else 1 - k]
        for row, k, ok in zip(oblong.split("train"), predicted, right, strict=True)
    }
    rows = tuple(replace(row, label=labels.get(row.image, row.label)) for row in oblong.rows)
    return _Site(network, locator, replace(oblong, rows=rows), found)


def _thresholds(model, dataset, found):
    """Of the images in which something was found, and of all."""
    examples = site_examples(model, dataset, "train")
    outputs = predict_all(model, examples.images)
    confidence = outputs["class_confidence"][:, 0]
    right = outputs["class_probability"].argmax(axis=1) == examples.labels
    return (fit_accept_above(confidence[part], right[part], *PROMISE).above for part in (found, found >= 0))


def test_a_network_is_fitted_without_them_and_its_evaluation_counts_them_as_referred(site):
    card = calibrate_network(site.network, site.locator, site.dataset, "train", *PROMISE)
    model = as_model(site.network, site.locator)
    expected, of_all = _thresholds(model, site.dataset, site.found)
    assert card.accept_above == pytest.approx(expected, abs=1e-5)
    assert of_all is None or abs(of_all - expected) > 1e-3, "these images would decide"
    evaluation = evaluate(model, site.dataset, "train")
    confident = np.array([m.class_confidence >= card.accept_above for m in evaluation.measures])
    assert (confident & ~site.found).any(), "by the confidence alone some would be accepted"
    decisions = np.array([m.decision for m in evaluation.measures])
    np.testing.assert_array_equal(decisions == "accept", confident & site.found)
    np.testing.assert_array_equal(decisions == "refer", ~(confident & site.found))
    rows = csv.DictReader(io.StringIO(image_table(evaluation.measures, model.card)))
    assert [row["region_found"] for row in rows] == ["yes" if one else "no" for one in site.found]
    metrics = evaluation.metrics
    assert metrics["accepted"].value == pytest.approx((confident & site.found).mean())
    assert metrics["referred"].value == pytest.approx(1 - metrics["accepted"].value)
    assert metrics["accepted_risk"].value <= RISK_TARGET


def test_an_exported_file_is_fitted_without_them(site, tmp_path):
    files = []
    for name, network in (("model", site.network), ("locator", site.locator)):
        metadata = describe(network, KINDS["tflite-none"], "float32")
        data = convert_network(Request(network, metadata, 1, None))
        path = tmp_path / f"{name}.tflite"
        path.write_bytes(add_metadata(data, metadata, names=False))
        files.append(DeviceModel(path))
    model = TwoPass(*files)
    images = (read_row(site.dataset, row)[0] for row in site.dataset.split("train"))
    found = np.array([not model.place(image).missing for image in images])
    assert (~found).any()
    card = calibrate_file(*files, site.dataset, "train", *PROMISE)
    expected, of_all = _thresholds(model, site.dataset, found)
    assert card.accept_above == pytest.approx(expected, abs=1e-6)
    assert of_all is None or abs(of_all - expected) > 1e-3


def test_too_few_in_which_the_region_was_found_accept_nothing_and_the_card_says_so(site):
    train = site.dataset.split("train")
    chosen = [*np.flatnonzero(~site.found)[:3], *np.flatnonzero(site.found)[:5]]
    few = replace(site.dataset, rows=tuple(train[i] for i in chosen))
    card = calibrate_network(site.network, site.locator, few, "train", 0.05, 0.9)
    assert card.accept_above is None
    assert "5 labelled, familiar validation images in which the disc was found" in card.accept_reason
