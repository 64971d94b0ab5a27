"""Do the scores of doubt about a whole mask rank the poor masks above the good ones?"""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from uml_tf.metrics.generalized_risk import area_under_generalized_risk, generalized_risk_of_ranked
from uml_tf.metrics.metric import METRICS, MaskScoreMetric
from uml_tf.metrics.ranking import rank_correlation, rank_correlation_of_draws
from uml_tf.metrics.selective import risk_curve

Array = NDArray[Any]


def dice_aurc(score: Array, risk: Array) -> float:
    """Mean risk (1 - Dice) of the n masks with the least doubt, averaged over n, in [0, 1]."""
    return float(risk_curve(score, risk)[1].mean())


METRICS.add(
    "mask_dice_aurc",
    MaskScoreMetric(
        value=dice_aurc,
        of_ranked=lambda ranked: ranked.mean_risk,
        better="lower",
        description="area under the risk-coverage curve of masks, the risk being 1 - mean Dice",
    ),
)
METRICS.add(
    "mask_dice_augrc",
    MaskScoreMetric(
        value=area_under_generalized_risk,
        of_ranked=generalized_risk_of_ranked,
        better="lower",
        bounds=(0.0, 0.5),
        description="area under the generalized risk-coverage curve of masks (Traub et al., 2024)",
    ),
)
METRICS.add(
    "mask_dice_rank_correlation",
    MaskScoreMetric(
        value=rank_correlation,
        of_draws=rank_correlation_of_draws,
        better="higher",
        bounds=(-1.0, 1.0),
        description="Spearman's rank correlation of the doubt with 1 - mean Dice",
    ),
)
