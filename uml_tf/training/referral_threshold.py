"""The threshold on the class uncertainty above which an image is referred, fitted on validation images."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from uml_tf.metrics.selective import risk_coverage

RISK_TARGET = 0.05


def fit_refer_above(
    uncertainty: NDArray[Any], correct: NDArray[Any], risk_target: float = RISK_TARGET
) -> float | None:
    """The largest uncertainty that may still be accepted.

    Accepting every image up to the answer keeps the selective risk (share of wrong classes among the
    accepted) of these images at or under the target, at the largest coverage that does. It is the risk
    on the images it was fitted on; new images can differ.

    Args:
        uncertainty: ``(N,)`` class uncertainty.
        correct: ``(N,)`` whether the class was right.
        risk_target: in [0, 1].

    Returns:
        The threshold; 0.0, which refers every image, when no coverage reaches the target; None
        without images.
    """
    if len(uncertainty) == 0:
        return None
    ordered = np.sort(uncertainty)
    _, risk = risk_coverage(uncertainty, correct)
    # Only whole groups of equal uncertainty can be accepted.
    ends = np.append(ordered[1:] > ordered[:-1], True)
    allowed = np.flatnonzero((risk <= risk_target) & ends)
    return float(ordered[allowed[-1]]) if allowed.size else 0.0
