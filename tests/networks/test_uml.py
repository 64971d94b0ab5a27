from __future__ import annotations

from itertools import pairwise

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from uml_tf.networks import PRESETS, UML, preset, without
from uml_tf.networks.encoders import build_encoder
from uml_tf.networks.spec import EncoderSpec
from uml_tf.runtime.contract import CONTRACT
from uml_tf.runtime.errors import UmlError

K, C = 2, 3
PARTS = ("mixer", "navigator", "instructor", "evidential")


def _images(size, batch=2):
    return np.random.default_rng(0).uniform(0, 255, (batch, size, size, 3)).astype(np.float32)


def _check_contract(answers, size, batch=2):
    assert set(answers) == set(CONTRACT)
    shapes = {
        "class_probability": (batch, K),
        "class_belief": (batch, K),
        "class_uncertainty": (batch, 1),
        "mask_probability": (batch, size, size, C),
        "mask_belief": (batch, size, size, C),
        "mask_uncertainty": (batch, size, size, 1),
    }
    arrays = {name: np.asarray(value) for name, value in answers.items()}
    for name, shape in shapes.items():
        assert arrays[name].shape == shape, name
        assert arrays[name].dtype == np.float32, name
    for part in ("class", "mask"):
        np.testing.assert_allclose(arrays[f"{part}_probability"].sum(-1), 1, atol=1e-5)
        total = arrays[f"{part}_belief"].sum(-1, keepdims=True) + arrays[f"{part}_uncertainty"]
        np.testing.assert_allclose(total, 1, atol=1e-5)
        assert (arrays[f"{part}_uncertainty"] > 0).all()
        assert (arrays[f"{part}_uncertainty"] <= 1 + 1e-6).all()


@pytest.mark.parametrize("name", PRESETS)
def test_contract(name):
    model = UML(preset(name), K, C, (32, 32))
    _check_contract(model(_images(32)), 32)


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("part", PARTS)
def test_every_ablation_returns_the_contract(name, part):
    # A VGG16 at both places keeps the published presets quick to build; the blocks are what is tested.
    from dataclasses import replace

    spec = preset(name)
    if name != "edge":
        spec = replace(
            spec, class_encoder=EncoderSpec("vgg16_bn"), segmentation_encoder=EncoderSpec("vgg16_bn")
        )
    model = UML(without(spec, part), K, C, (32, 32))
    _check_contract(model(_images(32)), 32)


def test_saved_model_answers_bitwise_equal(tmp_path):
    model = UML(preset("edge"), K, C, (64, 64))
    model.save(tmp_path / "x.keras")
    loaded = keras.models.load_model(tmp_path / "x.keras")
    images = _images(64)
    for name, value in model(images).items():
        np.testing.assert_array_equal(value, loaded(images)[name], err_msg=name)
    assert loaded.spec == model.spec


def test_other_image_size_keeps_the_weights():
    model = UML(preset("edge"), K, C, (64, 64))
    wider = model.with_image_size((96, 128))
    assert wider(np.zeros((1, 96, 128, 3), np.float32))["mask_probability"].shape == (1, 96, 128, C)
    for a, b in zip(model.get_weights(), wider.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def _gigaflop(model, size):
    function = tf.function(lambda x: model(x, training=False))
    frozen = convert_variables_to_constants_v2(
        function.get_concrete_function(tf.TensorSpec((1, size, size, 3)))
    )
    options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
    options["output"] = "none"
    return tf.compat.v1.profiler.profile(frozen.graph, options=options).total_float_ops / 1e9


def test_edge_stays_within_its_budget():
    model = UML(preset("edge"), K, C, (256, 256))
    assert model.count_params() <= 2.5e6
    assert _gigaflop(model, 256) <= 1.0


def test_encoders_share_no_weights():
    model = UML(preset("edge"), K, C, (64, 64)).training_model
    a, b = (model.get_layer(name).variables for name in ("class_encoder", "segmentation_encoder"))
    assert not {id(v) for v in a} & {id(v) for v in b}


@pytest.mark.parametrize(
    "name",
    ["EfficientNetLiteBackbone", "MobileNetV3Backbone", "ResNetV2Backbone", "DenseNetBackbone"],
)
def test_keras_cv_backbones_by_class_name(name):
    encoder = build_encoder(EncoderSpec(f"keras_cv:{name}"), (64, 64, 3), "encoder")
    sides = [output.shape[1] for output in encoder.outputs]
    assert [a / b for a, b in pairwise(sides)] == [2, 2, 2]


def test_fused_batch_norm_is_keras_own():
    from uml_tf.networks.normalization import BatchNormalization

    x = tf.constant(np.random.default_rng(0).normal(3, 2, (8, 6, 6, 5)).astype(np.float32))
    layers = [
        kind(momentum=0.9, epsilon=1e-5) for kind in (BatchNormalization, keras.layers.BatchNormalization)
    ]
    answers, gradients = [], []
    for layer in layers:
        layer.build(x.shape)
        layer.gamma.assign([1, 2, 3, 0.5, -1])
        with tf.GradientTape() as tape:
            tape.watch(x)
            answers.append(layer(x, training=True))
            total = tf.reduce_sum(answers[-1] ** 3)
        gradients.append(tape.gradient(total, x))
    np.testing.assert_allclose(*answers, atol=1e-5)
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
    from dataclasses import replace

    spec = replace(preset("edge"), class_encoder=EncoderSpec("vgg16_bn"))
    with pytest.raises(UmlError, match="class_encoder: finest feature at stride 1, expected 2"):
        UML(spec, 2, 3, (64, 64))


def test_unknown_names_are_refused():
    with pytest.raises(UmlError, match="found 'x', expected one of edge"):
        preset("x")
    with pytest.raises(UmlError, match="found 'nothing'"):
        build_encoder(EncoderSpec("nothing"), (64, 64, 3), "encoder")
    with pytest.raises(UmlError, match="keras_cv:no_such_preset"):
        build_encoder(EncoderSpec("keras_cv:no_such_preset"), (64, 64, 3), "encoder")
