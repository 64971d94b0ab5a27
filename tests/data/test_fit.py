"""Pictures that are not square: training, validation and evaluation read them by the same fit."""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
import pytest
from small_networks import random_network

from uml_tf.data.masks import read_mask
from uml_tf.data.pipeline import load_examples, training_batches
from uml_tf.evaluation.evaluate import measure_split
from uml_tf.evaluation.keras_predictor import KerasPredictor
from uml_tf.evaluation.mean_model import MeanModel
from uml_tf.evaluation.robustness import PLAIN, measure_robustness
from uml_tf.losses import LossSpec, joint_loss
from uml_tf.runtime.images import read_image
from uml_tf.runtime.placement import FITS, place
from uml_tf.runtime.predictor import predict_all
from uml_tf.runtime.regions import UNKNOWN_PIXEL
from uml_tf.training.finish import fit_card
from uml_tf.training.validation import validate

SIZE = (64, 64)


@pytest.fixture(scope="module")
def network():
    return random_network(3)


@pytest.mark.parametrize("fit", FITS)
def test_training_and_prediction_place_a_picture_alike(oblong, fit):
    examples = load_examples(oblong, "val", SIZE, fit=fit)
    for index, row in enumerate(examples.rows):
        image = read_image(oblong.root / row.image)
        placement = place(fit, image.shape[:2], SIZE)
        assert examples.placements[index] == placement
        assert np.abs(placement.image(image) - examples.images[index]).max() <= 0.502
        mask = read_mask(oblong.root / row.mask)
        np.testing.assert_array_equal(examples.masks[index], placement.mask(mask))
    assert (examples.masks == UNKNOWN_PIXEL).any() == (fit == "letterbox")


def test_padded_pixels_add_nothing_to_the_loss(oblong, network):
    examples = load_examples(oblong, "train", SIZE, fit="letterbox")
    (batch,) = training_batches(examples, np.arange(8), 8, None)
    outputs = network.training_model(batch["image"], training=False)
    inside = np.stack([p.inside for p in examples.placements[:8]])[..., None]
    noise = np.random.default_rng(0).uniform(1, 9, (8, *SIZE, 3)).astype(np.float32)
    other = {
        name: keras.ops.where(inside, value, noise) if value.shape[1:] == noise.shape[1:] else value
        for name, value in outputs.items()
    }
    changed = [name for name in outputs if other[name] is not outputs[name]]
    assert {"mutual_head_1", "segmentation_logits_1"} <= set(changed)
    first, second = (joint_loss(o, batch, 0, LossSpec()) for o in (outputs, other))
    for name in first:
        assert float(first[name]) == pytest.approx(float(second[name]), rel=1e-6)


def test_padded_pixels_count_in_no_measure_of_training(oblong, network):
    predictor = KerasPredictor(network)
    examples = load_examples(oblong, "val", SIZE, fit="letterbox")
    outputs = predict_all(predictor, examples.images)
    found = validate(predictor, examples)
    maps = [examples.shown(i, one) for i, one in enumerate(outputs["mask_uncertainty"])]
    assert found.mask_uncertainty == pytest.approx(np.mean([one.mean() for one in maps]), rel=3e-7)
    assert found.mask_uncertainty != pytest.approx(outputs["mask_uncertainty"].mean(), rel=3e-7)
    assert fit_card(predictor, examples, examples, oblong, "run", "letterbox").fit == "letterbox"


def test_what_crop_does_not_read_counts_as_background(oblong, network, monkeypatch):
    monkeypatch.setattr(network, "card", replace(network.card, fit="crop"))
    model = KerasPredictor(network)
    measures = measure_split(model, oblong, "val")
    for measure, row in zip(measures, oblong.split("val"), strict=True):
        image, mask = read_image(oblong.root / row.image), read_mask(oblong.root / row.mask)
        prediction = model.predict(image)
        assert prediction.mask.shape == image.shape[:2]
        unread = np.ones(mask.shape, bool)
        unread[place("crop", mask.shape, SIZE).crop.slices] = False
        assert (prediction.mask[unread] == 0).all()
        assert (prediction.mask_uncertainty[unread] == 1).all()
        true, found = mask == 2, prediction.mask == 2
        expected = 2 * (true & found).sum() / (true.sum() + found.sum())
        assert measure.values["dice_cup"] == pytest.approx(expected)
        assert np.asarray(measure.counts["mask_ece"])[..., 0].sum() in (mask.size, pytest.approx(mask.size))


def _sure_of_bars(predictor):
    """The predictor as a model that is sure of the mask where a row or column of its input is black."""

    def said(images):
        outputs = dict(predictor(images))
        rows, columns = (images.max(axis=axes, keepdims=True) == 0 for axes in ((2, 3), (1, 3)))
        sure = np.eye(outputs["mask_probability"].shape[-1], dtype=np.float32)[-1]
        outputs["mask_probability"] = np.where(rows | columns, sure, outputs["mask_probability"])
        return outputs

    return MeanModel(predictor, [said])


def test_padded_pixels_count_in_no_mean_over_the_pixels(oblong, network, monkeypatch):
    monkeypatch.setattr(network, "card", replace(network.card, fit="letterbox"))
    model, few = _sure_of_bars(KerasPredictor(network)), replace(oblong, rows=oblong.split("val")[:2])
    measures = measure_split(model, few, "val")
    plain = measure_robustness(model, few, "val").means[PLAIN]
    for name in ("mask_uncertainty", "mask_confidence"):
        expected = []
        for measure, row in zip(measures, few.rows, strict=True):
            image = read_image(few.root / row.image)
            placement = place("letterbox", image.shape[:2], SIZE)
            maps = model(placement.image(image)[None])[name][0]
            expected.append(placement.shown(maps).mean())
            assert getattr(measure, name) == pytest.approx(expected[-1], abs=1e-4)
            assert abs(maps.mean() - expected[-1]) > 0.1
        assert plain[name] == pytest.approx(np.mean(expected), abs=1e-3)  # rounded to grey levels
