"""AUGRC: the area under the generalized risk-coverage curve (Traub et al., NeurIPS 2024).

The selective risk divides by the number of accepted images, so that a single error among the first few
weighs as much as many later. The generalized risk is the share of all images that are accepted and lost; its
area is the mean risk of being wrong unnoticed over all thresholds.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from uml_tf.metrics.metric import METRICS, SelectiveMetric
from uml_tf.metrics.ranked import RankedLoss
from uml_tf.metrics.selective import risk_curve

Array = NDArray[Any]


def area_under_generalized_risk(score: Array, loss: Array) -> float:
    """Area under coverage times selective risk over the coverage from 0 to 1, by trapezoids.

    With losses of 0 and 1 it is (1 - AUROC) a (1 - a) + (1 - a)^2 / 2 for the accuracy a and the AUROC of
    failure detection.

    Args:
        score: ``(N,)``, larger for more doubt; N at least 1.
        loss: ``(N,)`` in [0, 1].

    Returns:
        In [0, 0.5]; lower is better.
    """
    coverage, risk = risk_curve(score, loss)
    return float(np.trapezoid(np.append(0.0, coverage * risk), np.append(0.0, coverage)))


def generalized_risk_of_ranked(ranked: RankedLoss) -> Array:
    """``area_under_generalized_risk`` of resamples, ``(D,)``."""
    middle = ranked.lost - ranked.loss / 2  # the trapezoids of images with one score are one
    return np.einsum("dg,dg->d", ranked.images, middle) / ranked.total**2


METRICS.add(
    "class_augrc",
    SelectiveMetric(
        value=lambda score, correct: area_under_generalized_risk(score, (~correct).astype(float)),
        of_ranked=generalized_risk_of_ranked,
        better="lower",
        bounds=(0.0, 0.5),
        description="area under the generalized risk-coverage curve (Traub et al., 2024): share of images "
        "that is accepted and wrong, mean over all coverages",
    ),
)
