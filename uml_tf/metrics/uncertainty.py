"""Is the uncertainty worth anything: does it rank the wrong answers above the right ones?

Uncertainty here is any score, larger for less evidence; nothing takes it for a probability.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from uml_tf.metrics.ranking import area_under_roc

Array = NDArray[Any]

OVERLAP_THRESHOLDS = np.geomspace(1e-3, 1.0, 61)


def failure_detection_auroc(uncertainty: Array, correct: Array) -> float:
    """Probability that a wrong answer has more uncertainty than a right one, in [0, 1].

    Args:
        uncertainty: ``(N,)``.
        correct: ``(N,)`` bool.

    Returns:
        The area; nan when every answer is right or every one wrong.
    """
    return area_under_roc(~correct, uncertainty)


def risk_coverage(uncertainty: Array, correct: Array) -> tuple[Array, Array]:
    """Selective risk when only the n least uncertain images are answered, for n = 1 to N.

    Equal uncertainties are answered together, at their common risk, so that the order of the input
    never matters.

    Returns:
        coverage ``(N,)`` in (0, 1] and risk ``(N,)``, the share of wrong answers among those answered.
    """
    order = np.argsort(uncertainty, kind="stable")
    wrong = (~correct[order]).astype(float)
    _, start, count = np.unique(uncertainty[order], return_index=True, return_counts=True)
    tied = np.add.reduceat(wrong, start) / count
    answered = np.arange(1, len(wrong) + 1)
    return answered / len(wrong), np.cumsum(np.repeat(tied, count)) / answered


def aurc(uncertainty: Array, correct: Array) -> float:
    """Area under the risk-coverage curve, in [0, 1]; lower is better (Geifman et al., 2019)."""
    return float(risk_coverage(uncertainty, correct)[1].mean())


def excess_aurc(uncertainty: Array, correct: Array) -> float:
    """AURC less that of a perfect order of the same answers, at least 0."""
    perfect = (~correct).astype(float)
    return aurc(uncertainty, correct) - aurc(perfect + np.linspace(0, 0.1, len(perfect)), correct)


def overlap_counts(uncertainty: Array, wrong: Array) -> Array:
    """``(T, 3)`` per threshold: pixels uncertain and wrong, uncertain, wrong; counts add up."""
    index = np.searchsorted(OVERLAP_THRESHOLDS, uncertainty.ravel(), side="right")
    size = len(OVERLAP_THRESHOLDS) + 1
    both = np.bincount(index, wrong.ravel().astype(float), size)
    every = np.bincount(index, minlength=size).astype(float)
    # A pixel is uncertain at a threshold when it lies above it: sums from the top.
    above = [np.cumsum(counts[::-1])[::-1][1:] for counts in (both, every)]
    return np.stack([*above, np.full(size - 1, both.sum())], axis=1)


def overlap_of_counts(counts: Array) -> Array:
    """Dice of the uncertain and the wrong pixels, ``(...)`` of ``(..., 3)`` counts; nan if both empty."""
    total = counts[..., 1] + counts[..., 2]
    return 2 * counts[..., 0] / np.where(total > 0, total, np.nan)
