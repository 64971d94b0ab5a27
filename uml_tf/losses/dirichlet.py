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

_SMALLEST = 1e-30
"""Probability below which a logarithm is not taken: times it, the logarithm is 0."""

_NO_LOGIT = -3e38
"""Logit of a class that cannot be: nearly the lowest float32; an infinite one would make nan."""


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
    """E_Dir[-log sum_k y_k p_k] = digamma(S) - digamma(sum_k y_k alpha_k), ``(...)``; 0 where y is 0.

    The sum of some of a Dirichlet's probabilities is that of the aggregated Dirichlet, in which their
    concentrations are added.
    """
    some = ops.max(target, axis=-1)
    strength, of_target = ops.sum(concentration, axis=-1), ops.sum(target * concentration, axis=-1)
    return some * (digamma(strength) - digamma(of_target + (1.0 - some)))


def _gradient(target: Any, concentration: Any, annealing: Any) -> Any:
    """Derivative of the evidential loss by the concentration, ``(..., K)``."""
    strength = ops.sum(concentration, axis=-1, keepdims=True)
    of_target = ops.sum(target * concentration, axis=-1, keepdims=True)
    trigamma_class = trigamma(1.0 / (target * of_target + (1.0 - target) * concentration))
    fit = ops.max(target, axis=-1, keepdims=True) * trigamma(1.0 / strength) - target * trigamma_class
    misleading = (1.0 - target) * (concentration - 1.0)
    total = ops.sum(misleading, axis=-1, keepdims=True)
    excess = total * trigamma(1.0 / (total + float(concentration.shape[-1])))
    # Misleading is 0 for the target's classes, the evidence of the others: trigamma_class is right here too.
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
        target: ``(..., K)`` y, 1 for the true class and 0 for the others; where one of several is true, and
            which is not known, 1 for each of these; 0 throughout where none is true.
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

    Where y has several classes, see ``evidential_loss``, it is that of the aggregated Dirichlet, in which
    these are one class.

    Without the variance and the KL term of Sensoy et al., NeurIPS 2018: the evidence grows only as far as
    the mean needs it.

    Source: Chen, Gao and Xu, "Revisiting Essential and Nonessential Settings of Evidential Deep Learning"
        (Re-EDL), 2024.
    """
    target = ops.cast(target, "float32")
    probability = opinion_from_concentration(concentration, ops).probability
    of_target = ops.sum(target * probability, axis=-1, keepdims=True)
    error = target - (target * of_target + (1.0 - target) * probability)
    count = ops.maximum(ops.sum(target, axis=-1, keepdims=True), 1.0)
    return ops.sum(error * error * (target / count + 1.0 - target), axis=-1)


def kl_of_all_evidence(concentration: Any) -> Any:
    """KL(Dir(alpha) || Dir(1)), ``(...)``, with the gradient of the evidential loss.

    Where no class is true, all evidence misleads.
    """
    return evidential_loss(ops.zeros_like(concentration), concentration, 1.0)


def softmax_loss(target: Any, logits: Any) -> Any:
    """-log sum_k y_k p_k, p = softmax(logits), ``(...)``: the ablation without evidential heads.

    It is the cross-entropy against q, the softmax over the classes of y alone, less the entropy of q; its
    gradient is p - q.

    Args:
        target: ``(..., K)`` y, with at least one 1; see ``evidential_loss``.
        logits: ``(..., K)``.
    """
    logits = ops.cast(logits, "float32")
    among = ops.softmax(ops.where(ops.cast(target, "bool"), logits, _NO_LOGIT), axis=-1)
    among = ops.stop_gradient(among)
    entropy = -ops.sum(among * ops.log(ops.maximum(among, _SMALLEST)), axis=-1)
    return keras.losses.categorical_crossentropy(among, logits, from_logits=True) - entropy
