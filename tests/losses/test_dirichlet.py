from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from scipy import special

from uml_tf.losses import gamma
from uml_tf.losses.dirichlet import (
    distribution,
    evidential_loss,
    kl_from_uniform,
    kl_of_all_evidence,
    squared_loss,
)
from uml_tf.networks import DirichletHead

X = np.concatenate([np.linspace(1, 12, 500), np.geomspace(12, 1e7, 200)])


@pytest.mark.parametrize(
    ("ours", "exact"),
    [
        (gamma.binet, lambda x: special.gammaln(x) - (x - 0.5) * np.log(x) + x - 0.5 * np.log(2 * np.pi)),
        (gamma.digamma_remainder, lambda x: special.digamma(x) - np.log(x)),
        (gamma.trigamma, lambda x: special.polygamma(1, x)),
    ],
)
def test_gamma_remainders(ours, exact):
    x = X[X < 1e4]  # beyond it the exact difference itself has no digits left in float64
    np.testing.assert_allclose(ours(1.0 / x), exact(x), atol=5e-8)


@pytest.fixture
def random_case():
    rng = np.random.default_rng(0)
    concentration = 1.0 + rng.gamma(0.7, 8.0, (400, 4)).astype(np.float32)
    return tf.constant(concentration), tf.one_hot(rng.integers(0, 4, 400), 4)


def _with_tfp(target, concentration, annealing):
    dirichlet = tfp.distributions.Dirichlet
    alpha = tf.cast(concentration, tf.float64)
    target = tf.cast(target, tf.float64)
    strength = tf.reduce_sum(alpha, -1, keepdims=True)
    fit = tf.reduce_sum(target * (tf.math.digamma(strength) - tf.math.digamma(alpha)), -1)
    misleading = dirichlet(1.0 + (1.0 - target) * (alpha - 1.0))
    return fit + annealing * tfp.distributions.kl_divergence(misleading, dirichlet(tf.ones_like(alpha)))


@pytest.mark.parametrize("annealing", [0.0, 0.4, 1.0])
def test_value_and_gradient_against_tfp(random_case, annealing):
    concentration, target = random_case
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(concentration)
        ours = evidential_loss(target, concentration, annealing)
        exact = _with_tfp(target, concentration, annealing)
    np.testing.assert_allclose(ours, exact, rtol=1e-5, atol=2e-6)
    np.testing.assert_allclose(
        tape.gradient(ours, concentration), tape.gradient(exact, concentration), rtol=2e-4, atol=2e-6
    )


def test_kl_keeps_its_digits_at_large_concentrations():
    for big in (1e2, 1e4, 1e6, 1e8):
        alpha = np.array([[big, 1.0, 3.0]])
        exact = tfp.distributions.kl_divergence(distribution(alpha), distribution(np.ones_like(alpha)))
        np.testing.assert_allclose(kl_from_uniform(tf.constant(alpha, tf.float32)), exact, rtol=2e-6)


def test_kl_of_all_evidence_against_tfp(random_case):
    concentration, _ = random_case
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(concentration)
        ours = kl_of_all_evidence(concentration)
        exact = _with_tfp(tf.zeros_like(concentration), concentration, 1.0)
    np.testing.assert_allclose(ours, exact, rtol=1e-5, atol=2e-6)
    np.testing.assert_allclose(
        tape.gradient(ours, concentration), tape.gradient(exact, concentration), rtol=2e-4, atol=2e-6
    )


def test_kl_of_the_uniform_is_zero():
    np.testing.assert_allclose(kl_from_uniform(tf.ones((1, 5))), 0, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_no_nan_at_extreme_logits(dtype):
    logits = tf.cast(tf.constant([[1e4, -1e4], [-1e4, -1e4], [1e4, 1e4], [0.0, 0.0]]), dtype)
    head = DirichletHead()
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = evidential_loss(tf.one_hot([1, 0, 0, 1], 2), head(logits), 1.0)
    assert np.isfinite(loss).all()
    assert np.isfinite(tf.cast(tape.gradient(loss, logits), tf.float32)).all()


def test_head_gives_the_distribution():
    head = DirichletHead()
    concentration = head(tf.constant([[2.0, -1.0, 0.5]]))
    assert concentration.dtype == tf.float32
    dirichlet = head.distribution(concentration)
    np.testing.assert_allclose(dirichlet.mean(), concentration / tf.reduce_sum(concentration), rtol=1e-6)
    assert np.isfinite(dirichlet.entropy()).all()


def test_squared_loss_is_that_of_the_mean_with_a_prior_weight():
    rng = np.random.default_rng(0)
    evidence, weight = rng.uniform(0, 20, (6, 3)), 0.1
    target = np.eye(3)[rng.integers(0, 3, 6)]
    alpha = evidence + weight
    expected = ((target - alpha / alpha.sum(axis=1, keepdims=True)) ** 2).sum(axis=1)
    found = squared_loss(tf.constant(target), tf.constant(evidence / weight + 1, tf.float32))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
