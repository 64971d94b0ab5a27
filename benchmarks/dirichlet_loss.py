"""Evidential loss, value and gradient: three ways to compute it, side by side.

Run: ``python benchmarks/dirichlet_loss.py``. Prints the seconds of TensorFlow Probability's distributions, of
the closed form with TensorFlow's lgamma, digamma and polygamma, and of the closed form with the polynomials
of ``uml_tf.losses.gamma``, with their largest differences; then the KL divergence at large concentrations.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

import uml_tf.losses.dirichlet as dirichlet
from uml_tf.losses import gamma

SHAPE = (8 * 256 * 256, 3)
REPEATS = 10


def with_tfp(target: tf.Tensor, alpha: tf.Tensor, annealing: tf.Tensor) -> tf.Tensor:
    """The same loss through TFP's distribution and TensorFlow's digamma, differentiated by TensorFlow."""
    strength = tf.reduce_sum(alpha, -1, keepdims=True)
    fit = tf.reduce_sum(target * (tf.math.digamma(strength) - tf.math.digamma(alpha)), -1)
    misleading = tfp.distributions.Dirichlet(1.0 + (1.0 - target) * (alpha - 1.0))
    uniform = tfp.distributions.Dirichlet(tf.ones_like(alpha))
    return fit + annealing * tfp.distributions.kl_divergence(misleading, uniform)


def _binet(t: tf.Tensor) -> tf.Tensor:
    x = 1.0 / t
    return tf.math.lgamma(x) - (x - 0.5) * tf.math.log(x) + x - 0.5 * np.log(2 * np.pi)


LIBRARY = {
    "binet": _binet,
    "digamma_remainder": lambda t: tf.math.digamma(1.0 / t) + tf.math.log(t),
    "trigamma": lambda t: tf.math.polygamma(1.0, 1.0 / t),
}
"""What the polynomials stand for, by TensorFlow's own functions."""


def step_of(
    loss: Callable[..., Any], functions: dict[str, Any], target: tf.Tensor, alpha: tf.Tensor
) -> tf.types.experimental.GenericFunction:
    """A compiled call of the loss and its gradient, traced with these special functions."""

    @tf.function
    def step() -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(alpha)
            value = loss(target, alpha, tf.constant(0.5))
            total = tf.reduce_mean(value)
        return value, tape.gradient(total, alpha)

    for name, function in functions.items():
        setattr(dirichlet, name, function)
    step()
    for name in functions:
        setattr(dirichlet, name, getattr(gamma, name))
    return step


def main() -> None:
    """Measures the three and prints the table."""
    rng = np.random.default_rng(0)
    alpha = tf.constant(1.0 + rng.gamma(1.0, 5.0, SHAPE).astype("float32"))
    target = tf.one_hot(rng.integers(0, SHAPE[1], SHAPE[0]), SHAPE[1])
    steps = {
        "TensorFlow Probability": step_of(with_tfp, {}, target, alpha),
        "closed form, TensorFlow's functions": step_of(dirichlet.evidential_loss, LIBRARY, target, alpha),
        "closed form, polynomials": step_of(dirichlet.evidential_loss, {}, target, alpha),
    }
    results = {name: [x.numpy() for x in step()] for name, step in steps.items()}
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(REPEATS):
        for name, step in steps.items():
            start = time.perf_counter()
            step()[0].numpy()
            times[name].append(time.perf_counter() - start)
    value, gradient = results["TensorFlow Probability"]
    print(f"value and gradient of {SHAPE} concentrations, best of {REPEATS}\n")
    print("| | seconds | largest difference of a value | of a gradient, relative to the largest |")
    print("| --- | --- | --- | --- |")
    for name in steps:
        by_value = np.abs(results[name][0] - value).max()
        by_gradient = np.abs(results[name][1] - gradient).max() / np.abs(gradient).max()
        print(f"| {name} | {min(times[name]):.3f} | {by_value:.1e} | {by_gradient:.1e} |")
    print()
    for big in (1e4, 1e8):
        alpha = tf.constant([[big, 1.0, 1.0]])
        uniform = tfp.distributions.Dirichlet(tf.ones_like(alpha))
        double = tfp.distributions.kl_divergence(
            tfp.distributions.Dirichlet(tf.cast(alpha, tf.float64)),
            tfp.distributions.Dirichlet(tf.ones_like(alpha, dtype=tf.float64)),
        )
        single = tfp.distributions.kl_divergence(tfp.distributions.Dirichlet(alpha), uniform)
        own = dirichlet.kl_from_uniform(alpha)
        print(f"KL at alpha = {big:.0e}: float64 {double[0]:.4f}, tfp {single[0]:.4f}, own {own[0]:.4f}")


if __name__ == "__main__":
    main()
