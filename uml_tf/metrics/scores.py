"""Scores of doubt about the class, a pixel, a whole mask: the uncertainty and its rivals."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from uml_tf.metrics.dirichlet import dirichlet_doubt
from uml_tf.runtime.evidence import evidence_from_opinion

Array = NDArray[Any]

SCORES = {
    "vacuity": "uncertainty K / S: too little evidence; the uncertainty that the model reports",
    "confidence": "1 - the confidence that the model reports; the next score where it reports none",
    "max_probability": "1 - largest probability: the rival, which every classifier has for free",
    "entropy": "entropy of the expected probability: total uncertainty",
    "expected_entropy": "expected entropy: data uncertainty (Malinin and Gales, 2018)",
    "mutual_information": "entropy less expected entropy: distributional uncertainty (likewise)",
    "dissonance": "dissonance: evidence for several classes at once (Jøsang et al., 2018)",
}
"""Score of the class -> meaning; the first has the name of a metric to itself."""

CHIEF_SCORE = "confidence"
"""The score by which errors are found, of the class, of pixels and of masks: where one value stands for a
metric of several scores, it is this score's."""

PIXEL_SCORES = {name: text for name, text in SCORES.items() if name != "expected_entropy"}
"""The same of a pixel."""

MASK_SCORES = {
    "vacuity": "mean uncertainty of the pixels of the predicted regions, of all where there are none",
    "confidence": "1 - mean confidence of the same pixels",
    "max_probability": "1 - mean largest probability of the same pixels",
    "threshold_dice": "1 - the mean Dice of the mask with the masks that other thresholds of its "
    "probabilities would draw, mean over the predicted regions; 1 where there are none",
    "estimated_dice": "1 - the Dice that the model estimates, mean over the predicted regions; 1 where there "
    "are none, not defined unless the model estimates it of every region",
    "members": "1 - mean Dice between the masks of several predictions; for ensembles, passes and flips",
}
"""Score of a whole mask -> meaning."""

FOREIGN_SCORES = {
    **SCORES,
    "familiarity": "1 - the familiarity that the model reports; not defined where it reports none",
}
"""Score by which images of another kind are told -> meaning."""


def reported_name(metric: str, score: str) -> str:
    """What a metric is called for a score: its own name for the vacuity."""
    return metric if score == "vacuity" else f"{metric}_{score}"


def doubt_scores(
    probability: Array, belief: Array, uncertainty: Array, confidence: Array
) -> dict[str, Array]:
    """Every score of ``SCORES``, ``(N,)`` each, larger for more doubt.

    Args:
        probability: ``(N, K)``, the contract's class_probability or mask_probability.
        belief: ``(N, K)``, its belief.
        uncertainty: ``(N,)``, its uncertainty.
        confidence: ``(N,)`` in [0, 1], of the class that is most probable.
    """
    scores = dict(dirichlet_doubt(1.0 + evidence_from_opinion(belief, uncertainty[:, None])))
    scores |= {
        "vacuity": uncertainty,
        "confidence": 1.0 - confidence,
        "max_probability": 1.0 - probability.max(axis=1),
    }
    return {name: scores[name] for name in SCORES}


def pixel_scores(
    probability: Array, belief: Array, uncertainty: Array, confidence: Array
) -> dict[str, Array]:
    """Every score of ``PIXEL_SCORES``, ``(N,)`` each in [0, 1], larger for more doubt.

    Those in nats are divided by log C. The entropy is that of the probability that the mask is drawn from,
    which in some networks another head gives than the belief.

    Args:
        probability: ``(N, C)`` of N pixels.
        belief: ``(N, C)``.
        uncertainty: ``(N,)``.
        confidence: ``(N,)``.
    """
    scores = doubt_scores(probability, belief, uncertainty, confidence)
    largest = np.log(probability.shape[1])
    scores["mutual_information"] = scores["mutual_information"] / largest
    scores["entropy"] = -(probability * np.log(np.maximum(probability, 1e-12))).sum(axis=1) / largest
    return {name: scores[name] for name in PIXEL_SCORES}
