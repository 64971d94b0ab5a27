"""Evidential arithmetic: from logits to evidence, belief and uncertainty (UML, section 2.1).

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


def opinion_from_evidence(evidence: Any, xp: ModuleType = np) -> Opinion:
    """The opinion of ``(..., K)`` evidence: concentration alpha = e + 1, strength S = sum(alpha)."""
    classes = evidence.shape[-1]
    strength = xp.sum(evidence, axis=-1, keepdims=True) + float(classes)
    inverse_root = xp.rsqrt(strength) if hasattr(xp, "rsqrt") else 1.0 / xp.sqrt(strength)
    # TFLite's converter quantizes neither a division nor a square to int8; this it does.
    inverse_strength = inverse_root * inverse_root
    return Opinion(
        probability=(evidence + 1.0) * inverse_strength,
        belief=evidence * inverse_strength,
        uncertainty=float(classes) * inverse_strength,
    )


def opinion_from_probability(probability: Any, xp: ModuleType = np) -> Opinion:
    """The opinion-shaped answer of a softmax network, for the ablation without evidential heads.

    The uncertainty is the entropy of ``(..., K)`` probabilities divided by log K, and the belief is
    what it leaves of the probability, so that the identity sum(belief) + uncertainty = 1 still holds.
    """
    classes = probability.shape[-1]
    negative_entropy = xp.sum(probability * xp.log(probability + 1e-7), axis=-1, keepdims=True)
    # A product, since TFLite's converter does not quantize a negation either.
    uncertainty = xp.clip(negative_entropy * float(-1.0 / np.log(classes)), 1e-6, 1.0)
    return Opinion(probability, probability * (1.0 - uncertainty), uncertainty)
