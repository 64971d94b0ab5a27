"""Does the doubt about the class rank the images that experts disagree on above the others?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uml_tf.metrics.draws import OfDraws
from uml_tf.metrics.metric import METRICS, GradeMetric
from uml_tf.metrics.ranking import rank_correlation, rank_correlation_of_draws

Array = NDArray[Any]

FEWEST_IMAGES = 5
"""Images that several experts graded from which on the rank correlation is defined."""


def grade_disagreement(counts: Sequence[int]) -> float:
    """Share of the experts whose grade of an image differs from most, in [0, 1).

    Args:
        counts: how many of the experts gave each class; may be empty.

    Returns:
        nan of fewer than two experts, who cannot disagree.
    """
    experts = sum(counts)
    return 1 - max(counts) / experts if experts > 1 else float("nan")


def disagreement_rank_correlation(score: Array, disagreement: Array) -> float:
    """Spearman's rank correlation of ``(N,)`` each, in [-1, 1].

    Returns:
        nan of fewer than ``FEWEST_IMAGES`` images, or where one of the two is constant.
    """
    return rank_correlation(score, disagreement) if len(score) >= FEWEST_IMAGES else float("nan")


def disagreement_rank_correlation_of_draws(score: Array, disagreement: Array) -> OfDraws:
    """``disagreement_rank_correlation`` of resamples."""
    correlation = rank_correlation_of_draws(score, disagreement)
    return lambda draws: np.where(draws.sum(axis=1) >= FEWEST_IMAGES, correlation(draws), np.nan)


METRICS.add(
    "class_disagreement_rank_correlation",
    GradeMetric(
        value=disagreement_rank_correlation,
        of_draws=disagreement_rank_correlation_of_draws,
        better="higher",
        bounds=(-1.0, 1.0),
        description="Spearman's rank correlation of the doubt with the share of the experts whose grade "
        f"differs from most; not defined of fewer than {FEWEST_IMAGES} images",
    ),
)
