"""Evidential loss, forward and gradient: TensorFlow Probability beside the closed form.

Run: ``python benchmarks/dirichlet_loss.py``. Prints seconds, their ratio and the largest differences.
"""

from __future__ import annotations

import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from uml_tf.losses.dirichlet import evidential_loss, kl_from_uniform

SHAPE = (8 * 256 * 256, 3)
REPEATS = 5


def with_tfp(target: tf.Tensor, evidence: tf.Tensor, annealing: tf.Tensor) -> tf.Tensor:
    """The same loss through TFP's distribution and TensorFlow's digamma."""
    alpha = evidence + 1.0
    strength = tf.reduce_sum(alpha, -1, keepdims=True)
    fit = tf.reduce_sum(target * (tf.math.digamma(strength) - tf.math.digamma(alpha)), -1)
    misleading = tfp.distributions.Dirichlet(1.0 + (1.0 - target) * evidence)
    uniform = tfp.distributions.Dirichlet(tf.ones_like(alpha))
    return fit + annealing * tfp.distributions.kl_divergence(misleading, uniform)


def main() -> None:
    """Measures both and prints the table."""
    rng = np.random.default_rng(0)
    evidence = tf.constant(rng.gamma(1.0, 5.0, SHAPE).astype("float32"))
    target = tf.one_hot(rng.integers(0, SHAPE[1], SHAPE[0]), SHAPE[1])
    answers = {}
    for name, loss in (("tfp", with_tfp), ("closed form", evidential_loss)):

        @tf.function
        def step(loss=loss):
            with tf.GradientTape() as tape:
                tape.watch(evidence)
                value = loss(target, evidence, tf.constant(0.5))
                total = tf.reduce_mean(value)
            return value, tape.gradient(total, evidence)

        answers[name] = [x.numpy() for x in step()]
        times = []
        for _ in range(REPEATS):
            start = time.perf_counter()
            step()[0].numpy()
            times.append(time.perf_counter() - start)
        answers[name].append(min(times))
        print(f"{name:12s} {min(times):.3f} s  (forward and gradient, {SHAPE})")
    a, b = answers["tfp"], answers["closed form"]
    print(f"closed form is {a[2] / b[2]:.1f} times as fast")
    print(f"largest difference: value {np.abs(a[0] - b[0]).max():.1e}, ", end="")
    print(f"gradient relative to its largest {np.abs(a[1] - b[1]).max() / np.abs(a[1]).max():.1e}")
    for big in (1e4, 1e8):
        alpha = tf.constant([[big, 1.0, 1.0]])
        uniform = tfp.distributions.Dirichlet(tf.ones_like(alpha))
        double = tfp.distributions.kl_divergence(
            tfp.distributions.Dirichlet(tf.cast(alpha, tf.float64)),
            tfp.distributions.Dirichlet(tf.ones_like(alpha, dtype=tf.float64)),
        )
        single = tfp.distributions.kl_divergence(tfp.distributions.Dirichlet(alpha), uniform)
        own = kl_from_uniform(alpha)
        print(f"KL at alpha = {big:.0e}: float64 {double[0]:.4f}, tfp {single[0]:.4f}, own {own[0]:.4f}")


if __name__ == "__main__":
    main()
