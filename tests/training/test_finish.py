"""The end of a training: what is shipped, and on what its thresholds are fitted."""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np

from uml_tf.data.pipeline import load_examples
from uml_tf.evaluation.keras_predictor import KerasPredictor
from uml_tf.networks import UML, preset
from uml_tf.runtime.predictor import predict_all
from uml_tf.training.build import _precision
from uml_tf.training.finish import fit_card, shipped

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
    own, mixed = (
        predict_all(p, splits["val"].images)["class_uncertainty"][:, 0].astype(np.float64)
        for p in (predictor, trained)
    )
    assert np.abs(own - mixed).max() > 1e-4  # the two precisions can be told apart
    labels = predict_all(predictor, splits["val"].images)["class_probability"].argmax(axis=1)
    order = np.argsort(own)
    labels[order[-2:]] = 1 - labels[order[-2:]]  # wrong for the two most uncertain images
    card = fit_card(predictor, splits["train"], replace(splits["val"], labels=labels), phantoms, "run")
    assert card.refer_above == (own[order[-3]] + own[order[-2]]) / 2


def test_a_float32_network_is_shipped_as_it_is():
    predictor = KerasPredictor(UML(preset("edge"), 2, 3, SIZE))
    assert shipped(predictor) is predictor
