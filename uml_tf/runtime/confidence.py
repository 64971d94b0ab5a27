"""Confidence: the estimated chance that an answer is right, for images like the validation images.

Every function takes the array module as ``xp`` (``numpy`` by default, ``keras.ops`` inside a network).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uml_tf.runtime.evidence import Opinion

SCORES = {
    "largest": "largest mean probability",
    "entropy": "entropy of the mean probability",
    "vacuity": "vacuity",
    "dissonance": "dissonance",
    "mutual": "mutual head",
    "navigator": "navigator's head",
    "surroundings": "surroundings",
}
"""What a confidence may follow from -> what it is called, each larger for less doubt: the log-odds of the
largest mean probability; minus the entropy of the mean over log K; minus the vacuity; minus the dissonance.
Of pixels alone also the log-odds that the mutual head gives to the chosen class; those that the navigator's
head gives to it, where the mask has the evidence of both; and the mean of the mask's own in the
surroundings."""

OF_PIXELS = ("mutual", "navigator", "surroundings")
"""Those of ``SCORES`` that follow from what is beside a pixel's own opinion: ``(..., K)`` log-odds."""

FEWEST_LABELS, FEWEST_MASKS = 20, 10
"""Labelled validation images, and validation masks of thousands of pixels each, without which neither
temperature nor confidence is fitted."""

_SMALLEST = 1e-5
"""Probabilities are kept this far from 0 and 1 in log-odds: in float32 the odds beyond are rounding."""


def dissonance(belief: Any, xp: ModuleType = np) -> Any:
    """Evidence that contradicts itself, ``(..., 1)`` in [0, 1], of ``(..., K)`` belief masses.

    sum_k b_k sum_{j != k} b_j Bal(b_j, b_k) / sum_{j != k} b_j, where
    Bal(b_j, b_k) = 1 - |b_j - b_k| / (b_j + b_k).

    Source: Josang, Cho and Chen, 2018.
    """
    tiny = 1e-12
    parts = [belief[..., k : k + 1] for k in range(belief.shape[-1])]
    total = 0.0
    for k, own in enumerate(parts):
        balance, rest = 0.0, tiny
        for j, other in enumerate(parts):
            if j != k:
                balance = balance + 2.0 * other * xp.minimum(own, other) / (own + other + tiny)
                rest = rest + other
        total = total + own * balance / rest
    return total


def log_odds(probability: Any, xp: ModuleType = np) -> Any:
    """log(p / (1 - p)), of p within [1e-5, 1 - 1e-5]."""
    p = xp.clip(probability, _SMALLEST, 1.0 - _SMALLEST)
    return xp.log(p / (1.0 - p))


def score(name: str, opinion: Opinion, beside: Mapping[str, Any], xp: ModuleType = np) -> Any:
    """One of ``SCORES``, ``(..., 1)``.

    Args:
        name: which.
        opinion: of the answer, ``(..., K)``.
        beside: name of ``OF_PIXELS`` -> ``(..., K)`` log-odds; of an image there are none.
        xp: ``numpy`` or ``keras.ops``.
    """
    probability = opinion.probability
    largest = xp.max(probability, axis=-1, keepdims=True)
    if name == "largest":
        return log_odds(largest, xp)
    if name == "entropy":
        terms = probability * xp.log(probability + 1e-7)
        return xp.sum(terms, axis=-1, keepdims=True) * float(1 / np.log(probability.shape[-1]))
    if name == "vacuity":
        return opinion.uncertainty * -1.0
    if name == "dissonance":
        return dissonance(opinion.belief, xp) * -1.0
    # 1 for the chosen class and 0 for the others, without truth values, which integer runtimes may lack.
    chosen = xp.maximum((largest - probability) * -3e4 + 1.0, 0.0)  # a factor that float16 holds
    return xp.sum(beside[name] * chosen, axis=-1, keepdims=True)


def chances(probability: NDArray[Any], confidence: NDArray[Any]) -> NDArray[Any]:
    """``(..., K)``: the confidence for the chosen class; for the others what is left, as their probabilities.

    To be interpolated between pixels: halfway between two sure pixels of different classes nothing is sure,
    which the confidences themselves do not say.

    Args:
        probability: ``(..., K)``.
        confidence: ``(..., 1)`` in the most probable class.
    """
    chosen = probability.argmax(axis=-1)[..., None]
    weight = probability + _SMALLEST
    np.put_along_axis(weight, chosen, 0.0, axis=-1)
    found = weight * ((1 - confidence) / weight.sum(axis=-1, keepdims=True))
    np.put_along_axis(found, chosen, confidence.astype(found.dtype), axis=-1)
    return found


@dataclass(frozen=True)
class Confidence:
    """The probability of being right, g + (1 - g) / (1 + exp(-(sum_i w_i score_i + bias))).

    Attributes:
        name: what it is called: one of ``SCORES``, or several joined by "+".
        weights: score -> its weight, above 0; so a confidence rises with each of its scores.
        bias: of the logistic.
        least: g in [0, 1), which no confidence is below: the chance of a guess, or 0.

    Source: a psychometric function with a guess rate, as in Wichmann and Hill, 2001.
    """

    name: str
    weights: dict[str, float]
    bias: float
    least: float = 0.0

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Confidence:
        """From the fields as JSON gives them."""
        return cls(**{**data, "weights": dict(data["weights"])})

    def __call__(self, opinion: Opinion, beside: Mapping[str, Any], xp: ModuleType = np) -> Any:
        """``(..., 1)`` in (``least``, 1); arguments as those of ``score``."""
        total = self.bias
        for name, weight in self.weights.items():
            total = total + score(name, opinion, beside, xp) * float(weight)
        half = 0.5 * (1.0 - self.least)
        return xp.tanh(total * 0.5) * half + (half + self.least)  # the logistic, overflowing nowhere
