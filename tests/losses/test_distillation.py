"""Several predictions as one Dirichlet, and the divergence from it."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from uml_tf.losses.distillation import distillation_loss, mixture_concentration


def _moments(concentration):
    strength = concentration.sum(-1, keepdims=True)
    return tf.constant(concentration / strength, tf.float32), tf.constant(1 / (strength + 1), tf.float32)


def test_a_single_dirichlet_is_its_own_mixture():
    alpha = np.random.default_rng(0).uniform(1, 40, (50, 4))
    mean, spread = _moments(alpha)
    np.testing.assert_allclose(mixture_concentration([mean], [spread]), alpha, rtol=2e-4)


def test_mean_and_variance_are_those_of_samples_of_the_members():
    rng = np.random.default_rng(1)
    members = [np.array([[30.0, 9.0, 8.0]]), np.array([[16.0, 9.0, 8.0]])]
    samples = np.concatenate([rng.dirichlet(alpha[0], 200_000) for alpha in members])
    means, spreads = zip(*map(_moments, members), strict=True)
    found = np.asarray(mixture_concentration(means, spreads), np.float64)[0]
    strength, mean = found.sum(), found / found.sum()
    np.testing.assert_allclose(mean, samples.mean(0), atol=2e-3)
    variance = (mean * (1 - mean) / (strength + 1)).sum()
    assert variance == pytest.approx(samples.var(0).sum(), rel=0.01)


def test_members_that_disagree_have_less_evidence_than_each():
    first, second = _moments(np.array([[30.0, 2.0]])), _moments(np.array([[2.0, 30.0]]))
    both = mixture_concentration([first[0], second[0]], [first[1], second[1]])
    assert float(tf.reduce_sum(both)) < 4


def test_softmax_members_that_agree_have_much_evidence_and_no_infinity():
    mean, none = tf.constant([[0.9, 0.1]]), tf.zeros((1, 1))
    found = np.asarray(mixture_concentration([mean, mean], [none, none]))
    assert np.isfinite(found).all()
    assert found.sum() > 500


def test_loss_and_gradient_are_those_of_the_kl_divergence():
    rng = np.random.default_rng(2)
    target, concentration = (tf.constant(rng.uniform(1, 60, (200, 3)), tf.float32) for _ in range(2))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(concentration)
        loss = distillation_loss(target, concentration)
        exact = tfp.distributions.Dirichlet(target).kl_divergence(tfp.distributions.Dirichlet(concentration))
    np.testing.assert_allclose(loss, exact, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(
        tape.gradient(loss, concentration), tape.gradient(exact, concentration), rtol=1e-3, atol=1e-4
    )
    np.testing.assert_allclose(distillation_loss(target, target), 0, atol=1e-4)
