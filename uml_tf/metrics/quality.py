"""Is the Dice that a model estimates of its own masks the one that they get?"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from uml_tf.metrics.draws import mean_of_draws
from uml_tf.metrics.metric import METRICS, QualityMetric
from uml_tf.metrics.ranking import rank_correlation, rank_correlation_of_draws

Array = NDArray[Any]


def quality_error(estimated: Array, dice: Array) -> float:
    """Mean |estimated - true Dice|, in [0, 1], of ``(N,)`` each."""
    return float(np.abs(estimated - dice).mean())


METRICS.add(
    "quality_error",
    QualityMetric(
        value=quality_error,
        of_draws=lambda estimated, dice: mean_of_draws(np.abs(estimated - dice)),
        better="lower",
        description="mean absolute error of the estimated Dice; the true one is 0 without the region",
    ),
)
METRICS.add(
    "quality_rank_correlation",
    QualityMetric(
        value=rank_correlation,
        of_draws=rank_correlation_of_draws,
        better="higher",
        bounds=(-1.0, 1.0),
        description="Spearman's rank correlation of the estimated with the true Dice",
    ),
)
