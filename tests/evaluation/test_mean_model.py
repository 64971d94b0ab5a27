"""Ensembles, passes with dropout and flips as models of their own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from small_networks import random_images, random_network

from uml_tf.evaluation.dropout_passes import with_passes
from uml_tf.evaluation.keras_predictor import KerasPredictor
from uml_tf.evaluation.mean_model import ensemble, mean_outputs, members_dice, with_flips
from uml_tf.networks.dropout import ActiveDropout, SpatialDropout2D
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.evidence import opinion_from_probability


@pytest.fixture(scope="module")
def model():
    return KerasPredictor(random_network(seed=0), batch_size=4)


@pytest.fixture(scope="module")
def other():
    return KerasPredictor(random_network(seed=1), batch_size=2)


IMAGES = random_images(4, seed=5)


def test_the_dice_of_members_by_hand():
    masks = np.zeros((3, 2, 2, 2), int)  # three members, two images of 2 x 2 pixels
    masks[0, 0, 0], masks[1, 0, 0, 0] = 1, 1  # two pixels, one pixel, none
    found = members_dice(masks, 3)
    assert found[:, 0].tolist() == pytest.approx([(2 / 3 + 0 + 0) / 3, 1])


def test_the_outputs_of_a_mean_are_those_of_a_softmax_network_with_the_mean_probability(model, other):
    both = ensemble([model, other])
    assert (both.batch_size, both.card.dataset) == (2, "random")
    found = both(IMAGES[:2])
    alone = [model(IMAGES[:2]), other(IMAGES[:2])]
    for part in ("class", "mask"):
        mean = (alone[0][f"{part}_probability"] + alone[1][f"{part}_probability"]) / 2
        np.testing.assert_allclose(found[f"{part}_probability"], mean, atol=1e-6)
        opinion = opinion_from_probability(mean)
        np.testing.assert_allclose(found[f"{part}_belief"], opinion.belief, atol=1e-5)
        np.testing.assert_allclose(found[f"{part}_uncertainty"], opinion.uncertainty, atol=1e-5)
    np.testing.assert_allclose(found["class_confidence"][..., 0], found["class_probability"].max(axis=-1))
    assert ((found["members_dice"] >= 0) & (found["members_dice"] < 1)).all()


def test_the_confidence_of_a_mean_is_its_largest_probability():
    outputs = {"class_confidence": np.array([[0.9]]), "mask_confidence": np.full((1, 1, 1, 1), 0.9)}
    outputs |= {"familiarity": np.array([[0.4]])}
    members = [
        {**outputs, "class_probability": np.array([p]), "mask_probability": np.array([[[p]]])}
        for p in ([0.9, 0.1], [0.5, 0.5])
    ]
    members[1]["familiarity"] = np.array([[0.8]])
    found = mean_outputs(members)
    assert found["class_confidence"].tolist() == [[pytest.approx(0.7)]]
    assert found["mask_confidence"].shape == (1, 1, 1, 1)
    assert found["familiarity"].tolist() == [[pytest.approx(0.6)]]


def test_means_of_other_members_or_asked_in_another_way_are_other_models(model, other):
    means = [
        ensemble([model, other]),
        ensemble([model, model]),
        with_flips(model),
        with_flips(other),
        with_passes(model, 2),
        with_passes(model, 3),
    ]
    assert len({model.identity, *(mean.identity for mean in means)}) == 7
    assert ensemble([model, other]).identity == means[0].identity


def test_members_that_do_not_fit_are_one_line(model, other, monkeypatch):
    monkeypatch.setattr(other.model, "card", replace(other.model.card, image_classes=("a", "b")))
    with pytest.raises(UmlError, match="ensemble: image_classes: found"):
        ensemble([model, KerasPredictor(other.model)])


def test_flips_give_a_mirrored_answer_for_a_mirrored_picture(model):
    flipped = with_flips(model)
    found, mirrored = flipped(IMAGES), flipped(np.ascontiguousarray(IMAGES[:, :, ::-1]))
    np.testing.assert_allclose(found["class_probability"], mirrored["class_probability"], atol=1e-5)
    np.testing.assert_allclose(found["mask_probability"], mirrored["mask_probability"][:, :, ::-1], atol=1e-5)
    assert np.abs(found["mask_probability"] - model(IMAGES)["mask_probability"]).max() > 1e-3


def test_passes_drop_and_are_decided_by_their_seed_and_leave_the_network_as_it_was(model):
    before = model(IMAGES)
    found, again = with_passes(model, 8)(IMAGES), with_passes(model, 8)(IMAGES)
    many = with_passes(model, 40)(IMAGES)
    np.testing.assert_array_equal(found["class_probability"], again["class_probability"])
    assert np.abs(found["class_probability"] - many["class_probability"]).max() > 1e-6
    assert np.abs(found["class_probability"] - before["class_probability"]).max() > 1e-6
    # The masks of ``edge`` have no dropout, and its batch norms stay in inference.
    np.testing.assert_allclose(found["mask_probability"], before["mask_probability"], atol=1e-5)
    np.testing.assert_allclose(found["members_dice"], 1, atol=1e-6)
    np.testing.assert_array_equal(model(IMAGES)["class_probability"], before["class_probability"])


def test_dropout_that_is_active_in_inference_drops_whole_channels_and_keeps_the_mean():
    layer, ones = SpatialDropout2D(0.25), np.ones((200, 3, 3, 8), np.float32)
    np.testing.assert_array_equal(layer(ones, training=False), ones)
    with ActiveDropout(0) as active:
        dropped = np.asarray(layer(ones, training=False))
    assert active.layers == 1
    assert (dropped == dropped[:, :1, :1]).all()
    assert set(np.unique(np.round(dropped, 4))) == {0, np.float32(1.3333)}
    assert dropped.mean() == pytest.approx(1, abs=0.05)
    np.testing.assert_array_equal(layer(ones, training=False), ones)


def test_a_network_without_dropout_is_one_line(model):
    network = model.model
    instructor = replace(network.spec.instructor, dropout=0.0, dropout_dense=0.0)
    plain = network.__class__(replace(network.spec, instructor=instructor), 2, 3, network.image_size)
    with pytest.raises(UmlError, match="has no dropout, so that all passes would be equal"):
        with_passes(KerasPredictor(plain), 5)
