"""The layers that are our own: batch normalization and resizing."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from uml_tf.networks.normalization import BatchNormalization
from uml_tf.networks.resize import BilinearResize, _aligned_rows


def test_fused_batch_norm_is_keras_own():
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
    x = np.random.default_rng(0).normal(size=(1, 6, 10, 2)).astype(np.float32)
    up = np.asarray(BilinearResize(2, align_corners=align)(x))
    assert up.shape == (1, 12, 20, 2)
    if align:
        np.testing.assert_allclose(up[:, [0, 0, -1], [0, -1, -1]], x[:, [0, 0, -1], [0, -1, -1]], rtol=1e-6)
        by_rows = _aligned_rows(_aligned_rows(x, 1, 12), 2, 20)
        np.testing.assert_allclose(up, by_rows, atol=1e-6)
