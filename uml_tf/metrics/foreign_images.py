"""Do the scores of doubt tell images of another kind (out of distribution) from those of the split?"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from uml_tf.metrics.metric import METRICS, ForeignMetric
from uml_tf.metrics.ranking import area_under_roc

Array = NDArray[Any]

KEPT = 0.95


def accepted_foreign_share(score: Array, foreign: Array) -> float:
    """Share of the foreign images that are accepted where 95 % of the split's own images are, in [0, 1].

    The images of the split are the positives, so this is the false positive rate at 95 % true positives
    (Hendrycks and Gimpel, ICLR 2017). The threshold is the least one that accepts at least 95 % of them.

    Args:
        score: ``(N,)``, larger for more doubt.
        foreign: ``(N,)`` bool: an image of another kind.

    Returns:
        nan without an image of either kind.
    """
    own = np.sort(score[~foreign])
    if not own.size or not foreign.any():
        return float("nan")
    # The product is rounded, so that 0.95 of 20 images are 19.
    threshold = own[int(np.ceil(round(KEPT * own.size, 9))) - 1]
    return float((score[foreign] <= threshold).mean())


METRICS.add(
    "ood_auroc",
    ForeignMetric(
        value=lambda score, foreign: area_under_roc(foreign, score),
        of_ranked=lambda ranked: ranked.area_under_roc,
        better="higher",
        description="probability that an image of another kind has a larger score than one of the split",
    ),
)
METRICS.add(
    "ood_fpr95",
    ForeignMetric(
        value=accepted_foreign_share,
        better="lower",
        description="share of the images of another kind that are accepted where 95 % of the split's are "
        "(false positive rate at 95 % true positives)",
    ),
)
