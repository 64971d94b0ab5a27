from __future__ import annotations

from dataclasses import replace
from functools import cache

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from scipy.stats import dirichlet as scipy_dirichlet

from uml_tf.networks import PRESETS, UML, DirichletHead, preset, without
from uml_tf.networks.heads import SoftmaxHead
from uml_tf.networks.operations import gigaflop
from uml_tf.networks.spec import EncoderSpec
from uml_tf.runtime.contract import CONTRACT
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.integer import finish

K, C = 2, 3
PARTS = ("mixer", "navigator", "instructor", "evidential")


def _images(size, batch=2):
    return np.random.default_rng(0).uniform(0, 255, (batch, size, size, 3)).astype(np.float32)


def _check_contract(outputs, size, batch=2):
    assert set(outputs) == set(CONTRACT)
    shapes = {
        "class_probability": (batch, K),
        "class_belief": (batch, K),
        "class_uncertainty": (batch, 1),
        "mask_probability": (batch, size, size, C),
        "mask_belief": (batch, size, size, C),
        "mask_uncertainty": (batch, size, size, 1),
        "class_confidence": (batch, 1),
        "mask_confidence": (batch, size, size, 1),
        "familiarity": (batch, 1),
    }
    arrays = {name: np.asarray(value) for name, value in outputs.items()}
    for name, shape in shapes.items():
        assert arrays[name].shape == shape, name
        assert arrays[name].dtype == np.float32, name
    for part in ("class", "mask"):
        np.testing.assert_allclose(arrays[f"{part}_probability"].sum(-1), 1, atol=1e-5)
        total = arrays[f"{part}_belief"].sum(-1, keepdims=True) + arrays[f"{part}_uncertainty"]
        np.testing.assert_allclose(total, 1, atol=1e-5)
        assert (arrays[f"{part}_uncertainty"] > 0).all()
        assert (arrays[f"{part}_uncertainty"] <= 1 + 1e-6).all()


@pytest.fixture(scope="module")
def edge():
    """An edge network whose logits, and with them its concentrations, are far from uniform."""
    keras.utils.set_random_seed(0)
    model = UML(preset("edge"), K, C, (64, 64))
    for name in ("instructor_logits", "mutual_logits_1", "navigator_logits_1"):
        kernel = model.training_model.get_layer(name).trainable_variables[-1]
        kernel.assign(kernel * 30.0)
    return model


@cache
def _built(name):
    """A preset's network for small images; no test changes it."""
    return UML(preset(name), K, C, (32, 32))


@pytest.mark.parametrize(("name", "levels"), [("edge", 1), ("released", 4), ("paper", 1)])
def test_the_heads_are_layers_of_the_graph(name, levels):
    model = _built(name)
    heads = {layer.name for layer in model.training_model.layers if isinstance(layer, DirichletHead)}
    own = {"mask_head"} if name == "edge" else set()
    assert heads == {"class_head", *own, *(f"mutual_head_{level}" for level in range(1, levels + 1))}
    lines = []
    model.summary(line_length=110, print_fn=lines.append)
    text = "\n".join(lines)
    assert text.count("(DirichletHead)") == len(heads)
    assert "class_encoder" in text
    assert "contract (Contract)" in text
    outputs = model.training_model(_images(32))
    for name in heads:
        concentration = np.asarray(outputs[name])
        assert concentration.dtype == np.float32
        assert concentration.min() >= 1


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


@pytest.mark.parametrize("name", PRESETS)
def test_contract(name):
    _check_contract(_built(name)(_images(32)), 32)


@pytest.mark.parametrize("name", ["edge", "released", "paper"])
@pytest.mark.parametrize("part", PARTS)
def test_every_ablation_returns_the_contract(name, part):
    # A VGG16 at both places keeps the published presets quick to build; the blocks are what is tested.
    spec = preset(name)
    if name != "edge":
        spec = replace(
            spec, class_encoder=EncoderSpec("vgg16_bn"), segmentation_encoder=EncoderSpec("vgg16_bn")
        )
    model = UML(without(spec, part), K, C, (32, 32))
    _check_contract(model(_images(32)), 32)


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


@pytest.mark.parametrize("name", ["edge", "edge-pretrained", "unet-edge", "unet-wide"])
def test_device_presets_stay_within_their_budget(name):
    model = UML(preset(name), K, C, (256, 256))
    assert model.count_params() <= 2.5e6
    assert gigaflop(model) <= 1.0


def test_pretrained_presets_learn_at_the_rates_of_the_recipes():
    for name in ("edge-pretrained", "unet-edge", "unet-wide"):
        training = preset(name).training
        assert (training.learning_rate, training.encoder_rate, training.warmup_epochs) == (7e-4, 0.7, 2)


def test_the_wide_rival_has_the_arithmetic_of_the_network():
    of_rival, of_network = (
        gigaflop(UML(preset(name), K, C, (256, 256))) for name in ("unet-wide", "edge-pretrained")
    )
    assert of_rival == pytest.approx(of_network, rel=0.02)


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


def test_the_unet_has_one_encoder_and_one_mask():
    model = UML(preset("unet-edge"), K, C, (64, 64))
    names = [layer.name for layer in model.training_model.layers]
    assert "segmentation_encoder" in names
    assert "class_encoder" not in names
    outputs = model.training_model(_images(64))
    np.testing.assert_array_equal(outputs["mutual_head_1"], outputs["segmentation_logits_1"])
    with pytest.raises(UmlError, match="found softmax heads"):
        model.distributions(_images(64))


def test_encoders_share_no_weights(edge):
    a, b = (
        edge.training_model.get_layer(name).variables for name in ("class_encoder", "segmentation_encoder")
    )
    assert not {id(v) for v in a} & {id(v) for v in b}


def test_fused_batch_norm_is_keras_own():
    from uml_tf.networks.normalization import BatchNormalization

    x = tf.constant(np.random.default_rng(0).normal(3, 2, (8, 6, 6, 5)).astype(np.float32))
    layers = [
        kind(momentum=0.9, epsilon=1e-5) for kind in (BatchNormalization, keras.layers.BatchNormalization)
    ]
    outputs, gradients = [], []
    for layer in layers:
        layer.build(x.shape)
        layer.gamma.assign([1, 2, 3, 0.5, -1])
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs.append(layer(x, training=True))
            total = tf.reduce_sum(outputs[-1] ** 3)
        gradients.append(tape.gradient(total, x))
    np.testing.assert_allclose(*outputs, atol=1e-5)
    np.testing.assert_allclose(*gradients, atol=2e-3)
    np.testing.assert_allclose(layers[0].moving_mean, layers[1].moving_mean, rtol=1e-5)
    # The fused one is PyTorch's: unbiased variance in the moving statistics.
    count = 8 * 6 * 6
    unbiased = 0.9 + (layers[1].moving_variance.numpy() - 0.9) * count / (count - 1)
    np.testing.assert_allclose(layers[0].moving_variance, unbiased, rtol=1e-5)


@pytest.mark.parametrize("align", [True, False])
def test_resize(align):
    from uml_tf.networks.resize import BilinearResize, _aligned_rows

    x = np.random.default_rng(0).normal(size=(1, 6, 10, 2)).astype(np.float32)
    up = np.asarray(BilinearResize(2, align_corners=align)(x))
    assert up.shape == (1, 12, 20, 2)
    if align:
        np.testing.assert_allclose(up[:, [0, 0, -1], [0, -1, -1]], x[:, [0, 0, -1], [0, -1, -1]], rtol=1e-6)
        by_rows = _aligned_rows(_aligned_rows(x, 1, 12), 2, 20)
        np.testing.assert_allclose(up, by_rows, atol=1e-6)


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
