"""The forms that layers take in training give what Keras' own layers give, and the same gradients."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from uml_tf.networks.block_specs import ConvStyle
from uml_tf.networks.convolution import DoubleConv, SeparableConv
from uml_tf.networks.fast_layers import with_fast_layers
from uml_tf.networks.moving_statistics import gathered_moves
from uml_tf.networks.normalization import BatchNormalization
from uml_tf.networks.pointwise import Conv2D
from uml_tf.training.flat import carry_out_together


def _random(*shape):
    return tf.constant(np.random.default_rng(len(shape)).normal(size=shape).astype(np.float32))


def _gradients(compute, sources):
    with tf.GradientTape() as tape:
        tape.watch(sources)
        outputs = compute()
        loss = tf.reduce_sum(outputs * _random(*outputs.shape))
    return [outputs, *tape.gradient(loss, sources)]


def _assert_equal(found, expected):
    for a, b in zip(found, expected, strict=True):
        scale = float(tf.reduce_max(tf.abs(b)))
        np.testing.assert_allclose(a / scale, b / scale, atol=1e-5)


@pytest.mark.parametrize("use_bias", [True, False])
def test_pointwise_convolution_and_its_gradients(use_bias):
    images = _random(2, 6, 5, 7)
    ours = Conv2D(4, 1, use_bias=use_bias, activation="relu6")
    keras_own = keras.layers.Conv2D.from_config(ours.get_config())
    for layer in (ours, keras_own):
        layer.build(images.shape)
    keras_own.set_weights(ours.get_weights())
    found, expected = (
        _gradients(
            lambda layer=layer: layer(images, training=True) if layer is ours else layer(images),
            [images, *(v.value for v in layer.trainable_variables)],
        )
        for layer in (ours, keras_own)
    )
    _assert_equal(found, expected)


def _operations(layer, training):
    call = tf.function(lambda x: layer(x, training=training), autograph=False)
    graph = call.get_concrete_function(tf.TensorSpec((1, 4, 4, 3))).graph
    return {operation.type for operation in graph.get_operations()}


def test_inference_keeps_the_convolution():
    layer = Conv2D(4, 1)
    assert "Conv2D" not in _operations(layer, True)
    assert "MatMul" not in _operations(layer, False)
    assert "MatMul" not in _operations(Conv2D(4, 3), True)


@pytest.mark.parametrize("dilation", [1, 2])
def test_separable_convolution_of_parts(dilation):
    parts = [_random(2, 8, 8, 3), _random(2, 8, 8, 5)]
    layer = SeparableConv(4, dilation=dilation)
    layer.build((2, 8, 8, 8))
    sources = [*parts, *(v.value for v in layer.trainable_variables)]
    found = _gradients(lambda: layer.of_parts(parts), sources)
    _assert_equal(found, _gradients(lambda: layer(tf.concat(parts, -1)), sources))


@pytest.mark.parametrize("separable", [True, False])
def test_double_convolution_of_parts(separable):
    parts = [_random(2, 8, 8, 3), _random(2, 8, 8, 5)]
    layer = DoubleConv(4, ConvStyle(separable=separable, dropout=0.0))
    layer.build((2, 8, 8, 8))
    for training in (True, False):
        joined = layer(tf.concat(parts, -1), training=training)
        _assert_equal([layer.of_parts(parts, training)], [joined])


def test_statistics_moved_together_are_those_moved_one_by_one():
    features = [_random(4, 3, 3, 2) + 1, _random(4, 5, 5, 3) * 2]
    results = []
    for together in (True, False):
        norms = [BatchNormalization(momentum=momentum) for momentum in (0.9, 0.5)]
        for norm, feature in zip(norms, features, strict=True):
            norm.build(feature.shape)
        if together:
            with gathered_moves() as moves:
                for norm, feature in zip(norms, features, strict=True):
                    norm(feature, training=True)
                norms[0](features[0] * 3, training=True)  # a layer that is used twice
            carry_out_together(list(moves.values()))
        else:
            for norm, feature in zip(norms, features, strict=True):
                norm(feature, training=True)
            norms[0](features[0] * 3, training=True)
        results.append([value for norm in norms for value in norm.get_weights()])
    for found, expected in zip(*results, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert np.abs(results[0][2]).max() > 0.1


def _plain():
    keras.utils.set_random_seed(0)
    image = keras.Input((4, 4, 3))
    x = keras.layers.Conv2D(4, 3, name="stem")(image)
    x = keras.layers.BatchNormalization(name="norm")(x)
    inner = keras.Input((2, 2, 4))
    x = keras.Model(inner, keras.layers.Conv2D(2, 1, name="inner")(inner), name="nested")(x)
    return keras.Model(image, keras.layers.Conv2D(2, 1, name="project")(x))


def test_fast_layers_keep_names_weights_and_outputs():
    plain, fast = _plain(), with_fast_layers(_plain(), 0.9)
    assert [layer.name for layer in fast.layers[1:]] == [layer.name for layer in plain.layers[1:]]
    for layer in (fast.get_layer("project"), fast.get_layer("nested").get_layer("inner")):
        assert type(layer) is Conv2D
    assert fast.get_layer("norm").get_config()["momentum"] == 0.9
    images = _random(2, 4, 4, 3)
    np.testing.assert_array_equal(fast(images), plain(images))
    np.testing.assert_allclose(fast(images, training=True), plain(images, training=True), atol=1e-5)


def test_fast_layers_know_whether_they_train():
    trained, read = (_operations(with_fast_layers(_plain(), 0.9), training) for training in (True, False))
    assert {"MatMul", "FusedBatchNormV3", "Conv2D"} <= trained
    assert "MatMul" not in read
