"""The end of a training: what is shipped, and on what its thresholds are fitted."""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
import pytest
from small_networks import random_network

from uml_tf.data.pipeline import load_examples
from uml_tf.evaluation.keras_predictor import KerasPredictor
from uml_tf.networks import UML, preset
from uml_tf.runtime.model_card import ModelCard
from uml_tf.runtime.predictor import predict_all
from uml_tf.runtime.roi import Roi
from uml_tf.training.build import _precision
from uml_tf.training.finish import fit_card, shipped, with_threshold
from uml_tf.training.trust_fit import look

SIZE = (64, 64)


def _mixed_network():
    keras.utils.set_random_seed(1)
    with _precision("mixed_bfloat16"):
        model = UML(preset("edge"), 2, 3, SIZE)
    # Large enough for the precision to show, and for different images to have different uncertainties.
    kernel = model.training_model.get_layer("instructor_logits").kernel
    kernel.assign(kernel * 30)
    return model


def test_the_threshold_is_fitted_on_the_outputs_of_the_shipped_float32_network(phantoms):
    splits = {name: load_examples(phantoms, name, SIZE) for name in ("train", "val")}
    trained = KerasPredictor(_mixed_network())
    predictor = shipped(trained)
    assert predictor.model.dtype_policy.name == "float32"
    train = splits["train"]  # 42 images, where the validation split has too few to accept any
    own, mixed = (predict_all(p, train.images)["class_probability"] for p in (predictor, trained))
    assert np.abs(own - mixed).max() > 1e-4  # the two precisions can be told apart
    labels, confidence = own.argmax(axis=1), own.max(axis=1).astype(np.float64)
    order = np.argsort(-confidence)
    labels[order[-2:]] = 1 - labels[order[-2:]]  # wrong for the two least confident images
    seen = look(predictor, replace(train, labels=labels))
    card = with_threshold(ModelCard(("a", "b"), ("c", "d", "e")), predictor.model, seen, 0.1, 0.9)
    assert card.accept_above == pytest.approx((confidence[order[-3]] + confidence[order[-2]]) / 2, abs=1e-7)
    assert (card.risk_target, card.risk_confidence) == (0.1, 0.9)


def test_images_in_which_the_locator_found_nothing_decide_on_no_threshold(phantoms):
    train = load_examples(phantoms, "train", SIZE)
    predictor = shipped(KerasPredictor(_mixed_network()))
    outputs = predict_all(predictor, train.images)["class_probability"]
    surest = np.argsort(-outputs.max(axis=1))[:4]
    labels = outputs.argmax(axis=1)
    labels[surest] = 1 - labels[surest]
    card = ModelCard(("a", "b"), ("c", "d", "e"), roi=Roi("d", 0.5, ""))
    found = np.isin(np.arange(len(train)), surest, invert=True)
    cards = [
        with_threshold(card, predictor.model, look(predictor, replace(train, **known)), 0.1, 0.9)
        for known in ({"labels": labels}, {"labels": labels, "located": tuple(found)})
    ]
    assert [one.accept_above is None for one in cards] == [True, False]
    assert cards[1].accept_above < outputs.max(axis=1)[found].min(), "all in which it was found are right"
    few = replace(train, labels=labels, located=tuple(found & (np.arange(len(train)) < 10)))
    reason = with_threshold(card, predictor.model, look(predictor, few), 0.1, 0.9).accept_reason
    assert f"{sum(few.located)} labelled, familiar validation images in which the d was found" in reason


def test_too_few_validation_images_accept_nothing_and_the_card_says_so(phantoms):
    examples = load_examples(phantoms, "val", SIZE)
    predictor = KerasPredictor(random_network(0))
    card = fit_card(predictor, examples, examples, phantoms, "run")
    assert card.accept_above is None
    assert "9 labelled, familiar validation images" in card.accept_reason
    assert card.trust.density is not None
    assert card.trust.class_confidence is None


def test_a_float32_network_is_shipped_as_it_is():
    predictor = KerasPredictor(UML(preset("edge"), 2, 3, SIZE))
    assert shipped(predictor) is predictor
