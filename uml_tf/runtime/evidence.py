"""Evidential arithmetic: from logits to concentration, belief and uncertainty (UML, section 2.1).

Every function takes the array module as ``xp`` (``numpy`` by default, ``keras.ops`` inside a
network), so that training, export and the device runtime share one set of formulas and the device
needs no TensorFlow. Arrays are ``(..., K)`` with the classes last; K is the number of classes.

The uncertainty is a relative score of how little evidence the network found. It is not a probability
of error.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

_LEAST_UNCERTAINTY = 1e-6


class Opinion(NamedTuple):
    """A subjective-logic opinion; ``belief.sum(-1) + uncertainty == 1`` always holds.

    Attributes:
        probability: ``(..., K)`` expected class probability alpha / S, in (0, 1), sums to 1.
        belief: ``(..., K)`` belief mass e / S, in [0, 1).
        uncertainty: ``(..., 1)`` uncertainty mass K / S, in (0, 1]; 1 means no evidence at all.
    """

    probability: Any
    belief: Any
    uncertainty: Any


def evidence_from_logits(logits: Any, xp: ModuleType = np) -> Any:
    """Softplus of ``(..., K)`` logits, as evidence in [0, inf).

    Written as r + log(1 + exp(z - 2 r)) with r = relu(z): the exponent is never positive, so nothing
    overflows in float16 and an int8 EXP keeps its range, unlike in log(1 + exp(z)).
    """
    relu = getattr(xp, "relu", None)
    r = relu(logits) if relu is not None else xp.maximum(logits, 0)
    return r + xp.log(1.0 + xp.exp(logits - 2.0 * r))


def concentration_from_logits(logits: Any, xp: ModuleType = np, prior_weight: float = 1.0) -> Any:
    """The Dirichlet's concentration alpha = e / lambda + 1 of ``(..., K)`` logits, at least 1.

    Args:
        logits: of the head.
        xp: ``numpy`` or ``keras.ops``.
        prior_weight: lambda, above 0. Mean and uncertainty are those of the concentration e + lambda whose
            uncertainty is K lambda / S.

    Source: the prior weight is that of Chen, Gao and Xu (Re-EDL), 2024; 1 in the UML paper.
    """
    evidence = evidence_from_logits(logits, xp)
    if prior_weight != 1.0:
        evidence = evidence * float(1 / prior_weight)
    return evidence + 1.0


def uncertainty_from_concentration(concentration: Any, xp: ModuleType = np) -> Any:
    """The uncertainty mass K / S of ``(..., K)`` concentrations, ``(..., 1)`` in (0, 1]."""
    return float(concentration.shape[-1]) * _inverse_strength(concentration, xp)


def opinion_from_concentration(concentration: Any, xp: ModuleType = np) -> Opinion:
    """The opinion of ``(..., K)`` concentrations alpha: evidence e = alpha - 1, strength S = sum(alpha)."""
    inverse_strength = _inverse_strength(concentration, xp)
    return Opinion(
        probability=concentration * inverse_strength,
        belief=(concentration - 1.0) * inverse_strength,
        uncertainty=float(concentration.shape[-1]) * inverse_strength,
    )


def evidence_from_opinion(belief: Any, uncertainty: Any, xp: ModuleType = np) -> Any:
    """The evidence e = b K / u, ``(..., K)``, behind an opinion: alpha - 1 of ``opinion_from_concentration``.

    Args:
        belief: ``(..., K)`` in [0, 1).
        uncertainty: ``(..., 1)`` in (0, 1]. A rounded file can return 0; at least 1e-6 is used.
        xp: ``numpy`` or ``keras.ops``.

    Source: Jøsang, "Subjective Logic", 2016.
    """
    return belief * (float(belief.shape[-1]) / xp.maximum(uncertainty, _LEAST_UNCERTAINTY))


def _inverse_strength(concentration: Any, xp: ModuleType) -> Any:
    strength = xp.sum(concentration, axis=-1, keepdims=True)
    # TFLite's converter quantizes neither a division nor a square to int8, but it quantizes this product.
    inverse_root = xp.rsqrt(strength) if hasattr(xp, "rsqrt") else 1.0 / xp.sqrt(strength)
    return inverse_root * inverse_root


def opinion_from_probability(probability: Any, xp: ModuleType = np) -> Opinion:
    """The same three values for a softmax network, the ablation without evidential heads.

    The uncertainty is the entropy of ``(..., K)`` probabilities divided by log K, and the belief is
    the probability times (1 - uncertainty), so that sum(belief) + uncertainty = 1 still holds.
    """
    classes = probability.shape[-1]
    negative_entropy = xp.sum(probability * xp.log(probability + 1e-7), axis=-1, keepdims=True)
    # A product, because TFLite's converter does not quantize a negation either.
    uncertainty = xp.clip(negative_entropy * float(-1.0 / np.log(classes)), 1e-6, 1.0)
    return Opinion(probability, probability * (1.0 - uncertainty), uncertainty)
