"""Selective classification: does an uncertainty score rank the wrong classes above the correct ones?

A score is any number that is larger for more doubt; nothing here reads it as a probability.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from uml_tf.metrics.metric import METRICS, SelectiveMetric
from uml_tf.metrics.ranked import RankedLoss, harmonic_numbers
from uml_tf.metrics.ranking import area_under_roc

Array = NDArray[Any]


def failure_detection_auroc(score: Array, correct: Array) -> float:
    """Probability that a wrongly classified image has a larger score than a correctly classified one.

    Args:
        score: ``(N,)``, larger for more doubt.
        correct: ``(N,)`` bool.

    Returns:
        The area, in [0, 1]; nan when every image is correct or every one is wrong.
    """
    return area_under_roc(~correct, score)


def risk_curve(score: Array, loss: Array) -> tuple[Array, Array]:
    """Mean loss of the n images with the least score, for n = 1 to N.

    Images with equal scores are accepted at their common loss, so that the order of the input never matters.

    Args:
        score: ``(N,)``, larger for more doubt.
        loss: ``(N,)`` float.

    Returns:
        coverage ``(N,)`` in (0, 1] and risk ``(N,)``, the mean loss of the accepted.
    """
    order = np.argsort(score, kind="stable")
    ordered, lost = score[order], loss[order]
    start = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    count = np.diff(np.append(start, len(ordered)))
    tied = np.add.reduceat(lost, start) / count
    accepted = np.arange(1, len(lost) + 1)
    return accepted / len(lost), np.cumsum(np.repeat(tied, count)) / accepted


def risk_coverage(score: Array, correct: Array) -> tuple[Array, Array]:
    """``risk_curve`` of the class: the loss is 1 where it is wrong, and the risk the share of wrong classes.

    Args:
        score: ``(N,)``, larger for more doubt.
        correct: ``(N,)`` bool.
    """
    return risk_curve(score, (~correct).astype(float))


def aurc(score: Array, correct: Array) -> float:
    """Area under the risk-coverage curve, in [0, 1]; lower is better (Geifman et al., 2019)."""
    return float(risk_coverage(score, correct)[1].mean())


def perfect_risk(correct: Array) -> Array:
    """Selective risk ``(N,)`` of a perfect score: every correct image is accepted before every wrong one."""
    accepted = np.arange(1, len(correct) + 1)
    return np.maximum(accepted - np.count_nonzero(correct), 0) / accepted


def excess_aurc(score: Array, correct: Array) -> float:
    """AURC less that of a perfect score for the same predictions, at least 0 (Geifman et al., 2019)."""
    return aurc(score, correct) - float(perfect_risk(correct).mean())


def _excess_of_ranked(ranked: RankedLoss) -> Array:
    harmonic = harmonic_numbers(int(ranked.total.max()))
    right = ranked.total - ranked.total_loss
    steps = harmonic[ranked.total.astype(np.intp)] - harmonic[right.astype(np.intp)]
    perfect = (ranked.total_loss - right * steps) / ranked.total
    return np.maximum(ranked.mean_risk - perfect, 0.0)  # of a perfect score it is 0 up to rounding


METRICS.add(
    "class_failure_auroc",
    SelectiveMetric(
        value=failure_detection_auroc,
        of_ranked=lambda ranked: ranked.area_under_roc,
        better="higher",
        margin=0.1,
        headline=True,
        description="failure detection: probability that a wrongly classified image has the larger score",
    ),
)
METRICS.add(
    "class_aurc",
    SelectiveMetric(
        value=aurc,
        of_ranked=lambda ranked: ranked.mean_risk,
        better="lower",
        description="area under the risk-coverage curve (Geifman et al., 2019); grows with the error rate",
    ),
)
METRICS.add(
    "class_excess_aurc",
    SelectiveMetric(
        value=excess_aurc,
        of_ranked=_excess_of_ranked,
        better="lower",
        description="class_aurc less that of a perfect score for the same predictions",
    ),
)
