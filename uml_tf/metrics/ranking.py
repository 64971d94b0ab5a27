"""The area under the ROC curve and the rank correlation, fast enough to be bootstrapped."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata


def area_under_roc(positive: NDArray[Any], score: NDArray[Any]) -> float:
    """Probability that a positive has a larger score than a negative, ties counted half.

    Counted by binary search in the sorted negatives (Mann and Whitney, 1947): a bootstrap calls it thousands
    of times.

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
