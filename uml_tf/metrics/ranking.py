"""The area under the ROC curve, fast enough to be bootstrapped."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata


def area_under_roc(positive: NDArray[Any], score: NDArray[Any]) -> float:
    """Probability that a positive has a larger score than a negative, ties counted half.

    By ranks (Mann and Whitney, 1947): scikit-learn's checks of its input take forty times as long as
    the area of a few hundred images.

    Args:
        positive: ``(N,)`` bool.
        score: ``(N,)``.

    Returns:
        In [0, 1]; nan without a positive or without a negative.
    """
    positives = int(np.count_nonzero(positive))
    negatives = len(positive) - positives
    if not positives or not negatives:
        return float("nan")
    above = rankdata(score)[positive].sum() - positives * (positives + 1) / 2
    return float(above / (positives * negatives))
