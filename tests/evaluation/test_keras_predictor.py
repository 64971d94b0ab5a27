"""A compiled network: its heads are traced once, whatever card is set."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from small_networks import random_images, random_network

from uml_tf.evaluation.keras_predictor import KerasPredictor
from uml_tf.runtime.contract import Heads, contract


@pytest.fixture(scope="module")
def network():
    return random_network(0)


@pytest.fixture(scope="module")
def predictor(network):
    return KerasPredictor(network, batch_size=4)


IMAGES = random_images(3, seed=2)


def _expected(network, images):
    return {name: value.numpy() for name, value in network(images, training=False).items()}


def test_another_card_counts_at_once_and_the_network_is_not_traced_again(network, monkeypatch):
    traces = []
    heads_model = network.heads_model()
    call = heads_model.call
    monkeypatch.setattr(
        heads_model, "call", lambda *given, **named: traces.append(1) or call(*given, **named)
    )
    predictor = KerasPredictor(network, batch_size=4)
    before = predictor(IMAGES)
    trust = replace(network.trust, class_temperature=3.0)
    network.card = replace(network.card, trust=trust)
    after = predictor(IMAGES)
    assert len(traces) == 1
    for name, value in _expected(network, IMAGES).items():
        np.testing.assert_allclose(after[name], value, atol=1e-5, err_msg=name)
    assert np.abs(after["class_probability"] - before["class_probability"]).max() > 1e-3


def test_the_heads_are_those_that_the_contract_follows_from(predictor):
    heads, outputs = predictor.heads(IMAGES), predictor(IMAGES)
    assert isinstance(heads, Heads)
    assert len(heads.class_head) == len(IMAGES)
    spec = predictor.model.spec
    found = contract(heads, spec.ablation.evidential, spec.draws_by_evidence, predictor.model.trust)
    for name, value in found.items():
        np.testing.assert_allclose(outputs[name], value, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("options", [{"padded": False}, {"is_compiled": False}], ids=str)
def test_every_form_returns_what_the_network_returns(network, options):
    other = KerasPredictor(network, batch_size=4, **options)
    for images in (IMAGES, IMAGES[:1]):
        found = other(images)
        for name, value in _expected(network, images).items():
            np.testing.assert_allclose(found[name], value, atol=1e-5, err_msg=name)
