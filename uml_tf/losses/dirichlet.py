"""The Dirichlet terms of the loss, in closed form, with their own gradient.

The loss does not use TensorFlow Probability (``distribution`` below gives its Dirichlet), but the tests
compare with it: on ``(8 * 256 * 256, 3)`` concentrations it is slower, and its KL divergence loses its
digits at large concentrations. ``benchmarks/dirichlet_loss.py`` prints both side by side.
"""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from uml_tf.losses.gamma import binet, digamma, digamma_remainder, trigamma
from uml_tf.runtime.evidence import opinion_from_concentration

MAX_CONCENTRATION = 1e15
"""Concentrations are clamped to this inside the loss; the square still fits float32."""


def distribution(concentration: Any) -> Any:
    """The ``tensorflow_probability.distributions.Dirichlet`` of ``(..., K)`` concentrations.

    On Keras' JAX backend it is the one of TensorFlow Probability's JAX substrate.
    """
    if keras.backend.backend() == "jax":
        from tensorflow_probability.substrates import jax as tfp
    else:
        import tensorflow_probability as tfp
    return tfp.distributions.Dirichlet(concentration)


def kl_from_uniform(concentration: Any) -> Any:
    """KL(Dir(alpha) || Dir(1)), ``(...)``, of ``(..., K)`` concentrations, each at least 1.

    The terms of lgamma and digamma that grow with alpha cancel exactly (sum_k alpha_k = S); they are
    cancelled on paper here rather than in float32.
    """
    classes = concentration.shape[-1]
    strength = ops.sum(concentration, axis=-1)
    t, t_strength = 1.0 / concentration, 1.0 / strength
    per_class = (concentration - 1.0) * digamma_remainder(t) - binet(t) - 0.5 * ops.log(concentration)
    constant = 0.5 * (1 - classes) * math.log(2 * math.pi) - math.lgamma(classes)
    return (
        ops.sum(per_class, axis=-1)
        + (classes - 0.5) * ops.log(strength)
        + binet(t_strength)
        - (strength - classes) * digamma_remainder(t_strength)
        + constant
    )


def expected_cross_entropy(target: Any, concentration: Any) -> Any:
    """E_Dir[-log p_y] = sum_k y_k (digamma(S) - digamma(alpha_k)), ``(...)``."""
    strength = ops.sum(concentration, axis=-1, keepdims=True)
    return ops.sum(target * (digamma(strength) - digamma(concentration)), axis=-1)


def _gradient(target: Any, concentration: Any, annealing: Any) -> Any:
    """Derivative of the evidential loss by the concentration, ``(..., K)``."""
    strength = ops.sum(concentration, axis=-1, keepdims=True)
    trigamma_class = trigamma(1.0 / concentration)
    fit = ops.sum(target, axis=-1, keepdims=True) * trigamma(1.0 / strength) - target * trigamma_class
    misleading = (1.0 - target) * (concentration - 1.0)
    total = ops.sum(misleading, axis=-1, keepdims=True)
    excess = total * trigamma(1.0 / (total + float(concentration.shape[-1])))
    # For a one-hot target misleading is 0 or the evidence, so trigamma_class is right here too.
    return fit + annealing * (1.0 - target) * (misleading * trigamma_class - excess)


@keras.ops.custom_gradient
def _evidential_loss(target: Any, concentration: Any, annealing: Any) -> Any:
    misleading = 1.0 + (1.0 - target) * (concentration - 1.0)
    value = expected_cross_entropy(target, concentration) + annealing * kl_from_uniform(misleading)

    def gradient(*args: Any, upstream: Any = None) -> Any:
        upstream = args[0] if upstream is None else upstream
        by_concentration = ops.expand_dims(upstream, -1) * _gradient(target, concentration, annealing)
        return ops.zeros_like(target), by_concentration, ops.zeros_like(annealing)

    return value, gradient


def evidential_loss(target: Any, concentration: Any, annealing: Any) -> Any:
    """Expected cross-entropy + annealing * KL of the misleading evidence (UML, equations 5 to 7).

    Args:
        target: ``(..., K)`` one-hot classes.
        concentration: ``(..., K)`` alpha, each at least 1. The misleading evidence is what alpha has beyond
            1 for the wrong classes.
        annealing: lambda_t, scalar of at least 0; in the paper at most 1.

    Returns:
        ``(...)`` loss of every image or pixel, float32. Its gradient flows to the concentration alone.
    """
    concentration = ops.clip(ops.cast(concentration, "float32"), 1.0, MAX_CONCENTRATION)
    annealing = ops.convert_to_tensor(annealing, dtype="float32")
    return _evidential_loss(ops.cast(target, "float32"), concentration, annealing)


def squared_loss(target: Any, concentration: Any) -> Any:
    """Squared error of the mean, sum_k (y_k - alpha_k / S)^2, ``(...)``, float32 of ``(..., K)``.

    Without the variance and the KL term of Sensoy et al., NeurIPS 2018: the evidence grows only as far as
    the mean needs it.

    Source: Chen, Gao and Xu, "Revisiting Essential and Nonessential Settings of Evidential Deep Learning"
        (Re-EDL), 2024.
    """
    error = ops.cast(target, "float32") - opinion_from_concentration(concentration, ops).probability
    return ops.sum(error * error, axis=-1)


def kl_of_all_evidence(concentration: Any) -> Any:
    """KL(Dir(alpha) || Dir(1)), ``(...)``, with the gradient of the evidential loss.

    Where no class is true, all evidence misleads.
    """
    return evidential_loss(ops.zeros_like(concentration), concentration, 1.0)


def softmax_loss(target: Any, logits: Any) -> Any:
    """Cross-entropy of softmax(logits), ``(...)``: the ablation without evidential heads."""
    return keras.losses.categorical_crossentropy(target, ops.cast(logits, "float32"), from_logits=True)
