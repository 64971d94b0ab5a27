"""Losses of a target with several classes, one of which is true; with one class they are what they were."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from uml_tf.losses.dirichlet import evidential_loss, kl_from_uniform, softmax_loss, squared_loss
from uml_tf.losses.gamma import digamma, trigamma
from uml_tf.runtime.evidence import opinion_from_concentration

LAMBDA = 0.4


@pytest.fixture
def case():
    rng = np.random.default_rng(0)
    concentration = 1.0 + rng.gamma(0.7, 8.0, (400, 4)).astype(np.float32)
    logits = rng.normal(0, 3, (400, 4)).astype(np.float32)
    several = np.tile(np.array([[0, 1, 1, 1], [0, 1, 0, 1]], np.float32), (200, 1))
    return tf.constant(concentration), tf.constant(logits), tf.constant(several)


def _value_and_gradient(loss, of):
    with tf.GradientTape() as tape:
        tape.watch(of)
        value = loss(of)
    return value.numpy(), tape.gradient(value, of).numpy()


def _evidential_before(target, concentration):
    """Value and gradient by the formulas for one class."""
    strength = tf.reduce_sum(concentration, -1, keepdims=True)
    value = tf.reduce_sum(target * (digamma(strength) - digamma(concentration)), -1)
    value += LAMBDA * kl_from_uniform(1.0 + (1.0 - target) * (concentration - 1.0))
    of_class = trigamma(1.0 / concentration)
    fit = tf.reduce_sum(target, -1, keepdims=True) * trigamma(1.0 / strength) - target * of_class
    misleading = (1.0 - target) * (concentration - 1.0)
    total = tf.reduce_sum(misleading, -1, keepdims=True)
    excess = total * trigamma(1.0 / (total + 4.0))
    return value.numpy(), (fit + LAMBDA * (1.0 - target) * (misleading * of_class - excess)).numpy()


def _squared_before(target, concentration):
    error = target - opinion_from_concentration(concentration, keras.ops).probability
    return tf.reduce_sum(error * error, axis=-1)


def test_of_one_class_every_loss_and_gradient_is_exactly_what_it_was(case):
    concentration, logits, _ = case
    target = tf.one_hot(np.random.default_rng(1).integers(0, 4, 400), 4)
    pairs = [
        (
            _value_and_gradient(lambda a: evidential_loss(target, a, LAMBDA), concentration),
            _evidential_before(target, concentration),
        ),
        (
            _value_and_gradient(lambda z: softmax_loss(target, z), logits),
            _value_and_gradient(
                lambda z: keras.losses.categorical_crossentropy(target, z, from_logits=True), logits
            ),
        ),
        (
            _value_and_gradient(lambda a: squared_loss(target, a), concentration),
            _value_and_gradient(lambda a: _squared_before(target, a), concentration),
        ),
    ]
    for found, before in pairs:
        for ours, old in zip(found, before, strict=True):
            np.testing.assert_array_equal(ours, old)


def test_of_no_class_all_evidence_misleads_as_before(case):
    concentration, _, _ = case
    nothing = tf.zeros_like(concentration)
    found = _value_and_gradient(lambda a: evidential_loss(nothing, a, LAMBDA), concentration)
    for ours, old in zip(found, _evidential_before(nothing, concentration), strict=True):
        np.testing.assert_array_equal(ours, old)


def test_of_several_classes_the_evidential_loss_is_that_of_the_aggregated_dirichlet(case):
    concentration, _, several = case

    def exact(alpha):
        alpha, target = tf.cast(alpha, tf.float64), tf.cast(several, tf.float64)
        fit = tf.math.digamma(tf.reduce_sum(alpha, -1)) - tf.math.digamma(tf.reduce_sum(target * alpha, -1))
        dirichlet = tfp.distributions.Dirichlet
        misleading = dirichlet(target + (1.0 - target) * alpha)
        return fit + LAMBDA * tfp.distributions.kl_divergence(misleading, dirichlet(tf.ones_like(alpha)))

    found = _value_and_gradient(lambda a: evidential_loss(several, a, LAMBDA), concentration)
    expected = _value_and_gradient(exact, concentration)
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-5, atol=2e-6)
    np.testing.assert_allclose(found[1], expected[1], rtol=2e-4, atol=2e-6)
    # It is the expected value of -log sum_k y_k p_k.
    drawn = np.random.default_rng(2).dirichlet(concentration[0], 20_000) @ several[0].numpy()
    fit = float(evidential_loss(several, concentration, 0.0)[0])
    assert fit == pytest.approx(-np.log(drawn).mean(), rel=0.05)


def test_of_several_classes_their_own_evidence_is_never_misleading():
    several = tf.constant([[0.0, 1.0, 1.0]])
    alpha = tf.constant([[1.0, 9.0, 4.0]])
    _, gradient = _value_and_gradient(lambda a: evidential_loss(several, a, 1.0), alpha)
    assert gradient[0, 0] > 0
    assert (gradient[0, 1:] < 0).all()
    assert gradient[0, 1] == gradient[0, 2]
    assert float(evidential_loss(several, tf.constant([[1.0, 1e6, 1e6]]), 1.0)[0]) == pytest.approx(
        0, abs=1e-5
    )


def test_of_several_classes_a_softmax_has_the_logarithm_of_their_sum(case):
    _, logits, several = case

    def exact(z):
        z, target = tf.cast(z, tf.float64), tf.cast(several, tf.float64)
        return -tf.math.log(tf.reduce_sum(target * tf.nn.softmax(z), -1))

    found = _value_and_gradient(lambda z: softmax_loss(several, z), logits)
    expected = _value_and_gradient(exact, logits)
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_no_nan_at_extreme_logits(dtype):
    logits = tf.cast(tf.constant([[1e4, -1e4, -1e4], [-1e4, 1e4, -1e4], [-1e4, -1e4, -1e4]]), dtype)
    several = tf.constant([[0.0, 1.0, 1.0]] * 3)
    value, gradient = _value_and_gradient(lambda z: softmax_loss(several, z), logits)
    assert value == pytest.approx([2e4 - np.log(2), 0, np.log(1.5)], rel=0.01, abs=1e-5)
    assert np.isfinite(gradient.astype(np.float32)).all()


def test_of_several_classes_the_squared_loss_is_that_of_two(case):
    concentration, _, _ = case
    several = tf.constant([[0.0, 1.0, 1.0, 1.0]] * 400)
    found = _value_and_gradient(lambda a: squared_loss(several, a), concentration)

    def aggregated(alpha):
        two = tf.stack([alpha[:, 0], tf.reduce_sum(alpha[:, 1:], -1)], axis=-1)
        return squared_loss(tf.constant([[0.0, 1.0]]), two)

    expected = _value_and_gradient(aggregated, concentration)
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-4, atol=1e-7)
