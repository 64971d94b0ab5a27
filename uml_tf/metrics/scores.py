"""Scores of doubt about the class, all from one Dirichlet distribution: the uncertainty and its rivals."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from uml_tf.metrics.dirichlet import dirichlet_doubt

Array = NDArray[Any]

SCORES = {
    "vacuity": "class uncertainty K / S, the score that the model reports",
    "max_probability": "1 - largest probability: the rival, which every classifier has for free",
    "entropy": "entropy of the expected probability: total uncertainty",
    "expected_entropy": "expected entropy: data uncertainty (Malinin and Gales, 2018)",
    "mutual_information": "entropy less expected entropy: distributional uncertainty (likewise)",
    "dissonance": "dissonance: evidence for several classes at once (Jøsang et al., 2018)",
}
"""Score -> meaning; the first is the one that the model reports."""

_LEAST_UNCERTAINTY = 1e-6


def reported_name(metric: str, score: str) -> str:
    """What a selective metric is called for a score: its own name for the class uncertainty."""
    return metric if score == "vacuity" else f"{metric}_{score}"


def concentration(belief: Array, uncertainty: Array) -> Array:
    """The Dirichlet concentration ``(N, K)`` behind an opinion: S = K / u, alpha = 1 + b S.

    An opinion and its Dirichlet distribution determine each other (Jøsang, "Subjective Logic", 2016). For an
    evidential head, where p = alpha / S, this is p S.

    Args:
        belief: ``(N, K)`` in [0, 1).
        uncertainty: ``(N,)`` in (0, 1]. A rounded file can return 0; at least 1e-6 is used.
    """
    strength = belief.shape[-1] / np.maximum(uncertainty, _LEAST_UNCERTAINTY)
    return 1.0 + belief * strength[:, None]


def doubt_scores(probability: Array, belief: Array, uncertainty: Array) -> dict[str, Array]:
    """Every score of ``SCORES``, ``(N,)`` each, larger for more doubt.

    Args:
        probability: ``(N, K)``, the contract's class_probability.
        belief: ``(N, K)``, its class_belief.
        uncertainty: ``(N,)``, its class_uncertainty.
    """
    scores = dict(dirichlet_doubt(concentration(belief, uncertainty)))
    scores |= {"vacuity": uncertainty, "max_probability": 1.0 - probability.max(axis=1)}
    return {name: scores[name] for name in SCORES}
