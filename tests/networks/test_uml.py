from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from scipy.stats import dirichlet as scipy_dirichlet

from uml_tf.networks import UML, preset, without
from uml_tf.networks.heads import SoftmaxHead
from uml_tf.networks.spec import EncoderSpec
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.integer import finish

K, C = 2, 3


def _images(size, batch=2):
    return np.random.default_rng(0).uniform(0, 255, (batch, size, size, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def edge():
    """An edge network whose logits, and with them its concentrations, are far from uniform."""
    keras.utils.set_random_seed(0)
    model = UML(preset("edge"), K, C, (64, 64))
    for name in ("instructor_logits", "mutual_logits_1", "navigator_logits_1"):
        kernel = model.training_model.get_layer(name).trainable_variables[-1]
        kernel.assign(kernel * 30.0)
    return model


def test_what_the_graph_holds_is_in_the_summary_and_little_else(edge):
    lines = []
    edge.summary(line_length=110, print_fn=lines.append)
    assert "\n".join(lines).count("├─") < 50


def test_everything_follows_from_the_concentration(edge):
    images = _images(64)
    outputs = {name: np.asarray(value) for name, value in edge.training_model(images).items()}
    found = {name: np.asarray(value) for name, value in edge(images).items()}
    of_mask = outputs["mask_head"] + outputs["mutual_head_1"] - 1  # the evidence of both heads
    for part, alpha in (("class", outputs["class_head"]), ("mask", of_mask)):
        strength = alpha.sum(-1, keepdims=True)
        np.testing.assert_allclose(found[f"{part}_belief"], (alpha - 1) / strength, atol=1e-6)
        np.testing.assert_allclose(found[f"{part}_uncertainty"], alpha.shape[-1] / strength, rtol=1e-5)
        np.testing.assert_allclose(found[f"{part}_probability"], alpha / strength, rtol=1e-5)


def test_the_mask_can_be_drawn_by_the_evidence_of_the_navigator_alone(edge):
    model = UML(replace(edge.spec, fused_mask=False), K, C, (64, 64))
    model.set_weights(edge.get_weights())
    images = _images(64)
    alpha = np.asarray(model.training_model(images)["mask_head"])
    np.testing.assert_allclose(
        model(images)["mask_probability"], alpha / alpha.sum(-1, keepdims=True), rtol=1e-5
    )


def test_a_prior_weight_gives_mean_and_uncertainty_of_evidence_and_that_weight(edge, tmp_path):
    model = UML(replace(edge.spec, prior_weight=0.1), K, C, (64, 64))
    model.set_weights(edge.get_weights())
    model.save(tmp_path / "model.keras")
    model = keras.models.load_model(tmp_path / "model.keras")
    images = _images(64)
    logits = {name: np.asarray(value) for name, value in model.logits_model(images).items()}
    found = {name: np.asarray(value) for name, value in model(images).items()}
    alpha = np.log1p(np.exp(logits["class_logits"].astype(float))) + 0.1
    strength = alpha.sum(-1, keepdims=True)
    np.testing.assert_allclose(found["class_probability"], alpha / strength, rtol=1e-4)
    np.testing.assert_allclose(found["class_uncertainty"], 0.1 * K / strength, rtol=1e-4)
    for part in ("class", "mask"):
        whole = found[f"{part}_belief"].sum(-1) + found[f"{part}_uncertainty"][..., 0]
        np.testing.assert_allclose(whole, 1, atol=1e-5)
    # What a host makes of the logits of an integer file.
    host = finish(logits, images, True, True, fuses=model.spec.fuses_evidence, prior_weight=0.1)
    for name, value in found.items():
        np.testing.assert_allclose(host[name], value, atol=2e-3 if name.startswith("mask") else 1e-5)


def test_one_dirichlet_head_has_its_evidence_from_the_logits_of_the_navigator(edge):
    graph = edge.training_model
    parts = [graph.get_layer(name).output for name in ("navigator_logits_1", "mask_head")]
    view = keras.Model(graph.input, [*parts, edge.logits_model.output["segmentation_logits"]])
    navigator, head, logits = (np.asarray(value) for value in view(_images(64)))
    np.testing.assert_array_equal(logits, navigator)
    np.testing.assert_allclose(head, 1 + np.log1p(np.exp(navigator)), rtol=1e-5)


def test_without_evidential_heads_the_mask_is_a_softmax():
    model = UML(without(preset("edge"), "evidential"), K, C, (64, 64))
    images = _images(64)
    outputs = model.training_model(images)
    assert "mask_head" not in outputs
    expected = keras.ops.softmax(outputs["segmentation_logits_1"])
    np.testing.assert_allclose(model(images)["mask_probability"], expected, atol=1e-6)


def test_the_navigator_reads_the_uncertainty_of_the_mutual_head(edge):
    graph = edge.training_model
    view = keras.Model(
        graph.input, [graph.get_layer(n).output for n in ("mutual_head_1", "mutual_uncertainty_1")]
    )
    alpha, uncertainty = (np.asarray(value) for value in view(_images(64)))
    np.testing.assert_allclose(uncertainty, C / alpha.sum(-1, keepdims=True), rtol=1e-5)
    for level in (1, 2, 3):
        sources = graph.get_layer(f"navigator_gate_{level}").input
        assert any(source is graph.get_layer("mutual_uncertainty_1").output for source in sources)


def test_distributions_are_tensorflow_probabilitys(edge):
    images = _images(64, batch=3)
    found, contract = edge.distributions(images), edge(images)
    assert set(found) == {"class", "mask"}
    assert all(isinstance(one, tfp.distributions.Dirichlet) for one in found.values())
    assert found["class"].batch_shape == (3,)
    assert found["class"].event_shape == (K,)
    assert found["mask"].batch_shape == (3, 64, 64)
    assert found["mask"].event_shape == (C,)
    np.testing.assert_allclose(found["class"].mean(), contract["class_probability"], atol=1e-6)
    np.testing.assert_allclose(found["mask"].mean(), contract["mask_probability"], atol=1e-6)
    entropy = found["class"].entropy()
    exact = scipy_dirichlet([float(a) for a in found["class"].concentration[0]]).entropy()
    assert float(entropy[0]) == pytest.approx(exact, abs=1e-4)
    samples = found["mask"].sample(2, seed=1)
    assert samples.shape == (2, 3, 64, 64, C)
    np.testing.assert_allclose(tf.reduce_sum(samples, -1), 1, atol=1e-5)


def test_a_network_with_softmax_heads_has_no_distributions():
    model = UML(without(preset("edge"), "evidential"), K, C, (64, 64))
    heads = [layer for layer in model.training_model.layers if isinstance(layer, SoftmaxHead)]
    assert {layer.name for layer in heads} == {"class_head", "mutual_head_1"}
    with pytest.raises(UmlError, match="distributions: found softmax heads"):
        model.distributions(_images(64))


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_heads_compute_in_float32_whatever_the_precision(precision):
    keras.config.set_dtype_policy(precision)
    try:
        models = [UML(preset(name), K, C, (32, 32)) for name in ("edge", "paper")]
    finally:
        keras.config.set_dtype_policy("float32")
    for model in models:
        assert model.training_model.get_layer("instructor_logits").compute_dtype == precision.removeprefix(
            "mixed_"
        )
        for name, value in model.training_model(_images(32)).items():
            assert value.dtype == tf.float32, name
            assert np.isfinite(value).all(), name


def test_saved_model_returns_the_same_bits(edge, tmp_path):
    edge.save(tmp_path / "x.keras")
    loaded = keras.models.load_model(tmp_path / "x.keras")
    images = _images(64)
    found = loaded(images)
    for name, value in edge(images).items():
        np.testing.assert_array_equal(value, found[name], err_msg=name)
    assert loaded.spec == edge.spec


def test_other_image_size_keeps_the_weights(edge):
    wider = edge.with_image_size((96, 128))
    assert wider(np.zeros((1, 96, 128, 3), np.float32))["mask_probability"].shape == (1, 96, 128, C)
    for a, b in zip(edge.get_weights(), wider.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_class_reads_the_mask_and_does_not_change_it():
    model = UML(preset("edge-pretrained"), K, C, (64, 64)).training_model
    images = _images(64)
    with tf.GradientTape() as tape:
        head = model(images)["class_head"]
    mask = model.get_layer("navigator_logits_1").kernel
    assert tape.gradient(head, mask.value) is None
    before = model(images)["class_head"].numpy()
    mask.assign(mask * -300.0)
    assert np.abs(model(images)["class_head"].numpy() - before).max() > 1e-4


def test_encoders_share_no_weights(edge):
    a, b = (
        edge.training_model.get_layer(name).variables for name in ("class_encoder", "segmentation_encoder")
    )
    assert not {id(v) for v in a} & {id(v) for v in b}


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"image_classes": 1}, "image_classes: found 1"),
        ({"image_size": (100, 64)}, "image size: found 100 x 64"),
    ],
)
def test_what_does_not_fit_is_refused(change, found):
    arguments = {"image_classes": 2, "pixel_classes": 3, "image_size": (64, 64), **change}
    with pytest.raises(UmlError, match=found):
        UML(preset("edge"), **arguments)


def test_encoder_of_another_stride_is_refused():
    spec = replace(preset("edge"), class_encoder=EncoderSpec("vgg16_bn"))
    with pytest.raises(UmlError, match="class_encoder: finest feature at stride 1, expected 2"):
        UML(spec, 2, 3, (64, 64))


def test_unknown_names_are_refused():
    with pytest.raises(UmlError, match="found 'x', expected one of edge"):
        preset("x")
    with pytest.raises(UmlError, match="encoder: found 'nothing', expected one of"):
        UML(replace(preset("edge"), class_encoder=EncoderSpec("nothing")), 2, 3, (64, 64))
