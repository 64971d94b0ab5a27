"""Several predictions as one Dirichlet, and the loss of a network that learns it."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from uml_tf.losses.dirichlet import MAX_CONCENTRATION
from uml_tf.losses.gamma import binet, digamma

LARGEST_STRENGTH = 1e3
"""Limit of the strength S of a mixture: members that agree in every digit would give infinitely much."""


def mixture_concentration(means: Any, spreads: Any) -> Any:
    """The Dirichlet that has the mean and the total variance of a mixture of members.

    Each member is a Dirichlet of mean m and strength S, of which every class has the variance
    m (1 - m) / (S + 1); a softmax is the limit of no spread. The mixture's variance is the mean of the
    members' own and that between them, and the Dirichlet's strength follows from the sum over the classes:
    S = (1 - sum mean^2) / variance - 1. Of one member it is that member. Concentrations below 1, which a head
    cannot return, become 1.

    Args:
        means: M members' mean probabilities ``(..., K)``.
        spreads: their 1 / (S + 1), ``(..., 1)``, 0 for a softmax.

    Returns:
        ``(..., K)`` concentrations, at least 1.

    Source: distribution distillation (Malinin, Mlodozeniec and Gales, ICLR 2020), by moments in place of
        the likelihood, which has no maximum where the members agree.
    """
    count, classes = len(means), means[0].shape[-1]
    mean = sum(means[1:], means[0]) / count
    own = [spread * (1.0 - _square(m)) + _square(m) for m, spread in zip(means, spreads, strict=True)]
    of_mean = _square(mean)
    variance = sum(own[1:], own[0]) / count - of_mean
    strength = (1.0 - of_mean) / ops.maximum(variance, 1e-12) - 1.0
    return ops.maximum(mean * ops.clip(strength, float(classes), LARGEST_STRENGTH), 1.0)


def _square(mean: Any) -> Any:
    return ops.sum(mean * mean, axis=-1, keepdims=True)


def _log_gamma(values: Any) -> Any:
    """Log gamma without the constant log(2 pi) / 2, for values of at least 1."""
    return (values - 0.5) * ops.log(values) - values + binet(1.0 / values)


def _expected_logarithm(concentration: Any) -> Any:
    """E[log p_k] = digamma(alpha_k) - digamma(S), ``(..., K)``."""
    return digamma(concentration) - digamma(ops.sum(concentration, axis=-1, keepdims=True))


@keras.ops.custom_gradient
def _divergence(target: Any, concentration: Any) -> Any:
    strengths = [ops.sum(alpha, axis=-1) for alpha in (target, concentration)]
    expected = _expected_logarithm(target)
    value = (
        _log_gamma(strengths[0])
        - _log_gamma(strengths[1])
        + ops.sum(_log_gamma(concentration) - _log_gamma(target), axis=-1)
        + ops.sum((target - concentration) * expected, axis=-1)
    )

    def gradient(*args: Any, upstream: Any = None) -> Any:
        upstream = args[0] if upstream is None else upstream
        by_concentration = _expected_logarithm(concentration) - expected
        return ops.zeros_like(target), ops.expand_dims(upstream, -1) * by_concentration

    return value, gradient


def distillation_loss(target: Any, concentration: Any) -> Any:
    """KL(Dir(target) || Dir(concentration)) of ``(..., K)`` concentrations, each at least 1: ``(...)``.

    Its gradient, digamma differences, flows to the second alone. Unlike the likelihood of the members'
    probabilities it is finite wherever they agree.
    """
    target, concentration = (
        ops.clip(ops.cast(alpha, "float32"), 1.0, MAX_CONCENTRATION) for alpha in (target, concentration)
    )
    return _divergence(ops.stop_gradient(target), concentration)
