"""The area under the ROC curve and the rank correlation, fast enough to be bootstrapped."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from uml_tf.metrics.draws import OfDraws, divided
from uml_tf.metrics.ranked import Ranking, ranked_loss
from uml_tf.metrics.wilson import NORMAL_QUANTILE

Array = NDArray[Any]

FEWEST_FOR_INTERVAL = 4
"""Images from which on ``rank_correlation_interval`` is defined."""


def area_under_roc(positive: NDArray[Any], score: NDArray[Any]) -> float:
    """Probability that a positive has a larger score than a negative, ties counted half.

    Counted by binary search in the sorted negatives (Mann and Whitney, 1947).

    Args:
        positive: ``(N,)`` bool.
        score: ``(N,)``.

    Returns:
        In [0, 1]; nan without a positive or without a negative.
    """
    # Searching for sorted values reads the memory in order, which saves more than sorting them takes.
    above, below = np.sort(score[positive]), np.sort(score[~positive])
    if not above.size or not below.size:
        return float("nan")
    smaller, not_larger = (below.searchsorted(above, side=side).sum() for side in ("left", "right"))
    return float((smaller + not_larger) / 2 / (above.size * below.size))


def rank_correlation(first: NDArray[Any], second: NDArray[Any]) -> float:
    """Spearman's rank correlation of two ``(N,)``, in [-1, 1]; ties share a rank; nan if one is constant."""
    ranks = [rankdata(values) for values in (first, second)]
    deviations = [rank - rank.mean() for rank in ranks]
    scale = np.sqrt(np.prod([(d**2).sum() for d in deviations]))
    return float((deviations[0] * deviations[1]).sum() / scale) if scale > 0 else float("nan")


def rank_correlation_interval(value: float, count: int) -> tuple[float, float]:
    """An approximate 95 % interval of Spearman's rank correlation, in (-1, 1).

    Computed on the scale of atanh. Near 1 it is too narrow: of normal scores with a true rank correlation of
    .99 it lies below that in 17, 15 and 12 of 100 samples of 11, 54 and 100. A bootstrap of few images is
    too wide: many of its resamples hold none of the few that changed places.

    Args:
        value: the rank correlation of the images, in (-1, 1).
        count: number of images, at least ``FEWEST_FOR_INTERVAL``.

    Source: Bonett and Wright, "Sample size requirements for estimating Pearson, Kendall and Spearman
    correlations", Psychometrika 2000.
    """
    half = NORMAL_QUANTILE * math.sqrt((1 + value**2 / 2) / (count - 3))
    return math.tanh(math.atanh(value) - half), math.tanh(math.atanh(value) + half)


def area_under_roc_of_draws(positive: Array, score: Array) -> OfDraws:
    """``area_under_roc`` of resamples."""
    ranked = ranked_loss(score, positive)
    return lambda draws: ranked(draws).area_under_roc


def rank_correlation_of_draws(first: Array, second: Array) -> OfDraws:
    """``rank_correlation`` of resamples."""
    rankings = [Ranking(values) for values in (first, second)]

    def values(draws: Array) -> Array:
        middle = (draws.sum(axis=1, keepdims=True) + 1) / 2
        deviations = []
        for ranking in rankings:
            images = ranking.sums(ranking.ordered(draws))
            rank = np.cumsum(images, axis=1) - (images - 1) / 2
            deviations.append((rank - middle).take(ranking.group, axis=1))
        products = ((0, 1), (0, 0), (1, 1))
        both, *own = (np.einsum("dn,dn,dn->d", draws, deviations[a], deviations[b]) for a, b in products)
        return divided(both, np.sqrt(own[0] * own[1]))

    return values
