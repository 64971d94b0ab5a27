"""The threshold on the class uncertainty above which an image is referred, fitted on validation images."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from uml_tf.metrics.selective import risk_coverage

RISK_TARGET = 0.05
_SMALLEST_MARGIN = 1e-3


def fit_refer_above(
    uncertainty: NDArray[Any], correct: NDArray[Any], risk_target: float = RISK_TARGET
) -> float | None:
    """The threshold that accepts as many of these images as the risk target allows.

    The selective risk (share of wrong classes among the accepted images) of these images is at most the
    target; that of new images can differ. The threshold lies halfway between the last accepted and the first
    referred image, so that a rounding of the outputs, as in an exported network, changes no decision. Where
    all images are accepted it lies above the last of them by half the mean distance between neighbours, at
    least by 0.001.

    Args:
        uncertainty: ``(N,)`` class uncertainty, in (0, 1].
        correct: ``(N,)`` whether the predicted class is right.
        risk_target: in [0, 1].

    Returns:
        The threshold; 0.0, which refers every image, where no number of accepted images reaches the target;
        None without images.
    """
    if len(uncertainty) == 0:
        return None
    ordered = np.sort(uncertainty).astype(np.float64)
    _, risk = risk_coverage(uncertainty, correct)
    # Images of equal uncertainty can only be accepted together.
    ends = np.append(ordered[1:] > ordered[:-1], True)
    allowed = np.flatnonzero((risk <= risk_target) & ends)
    if not allowed.size:
        return 0.0
    last = int(allowed[-1])
    if last + 1 < len(ordered):
        return float(_between(ordered[last], ordered[last + 1]))
    mean_distance = (ordered[-1] - ordered[0]) / max(len(ordered) - 1, 1)
    return float(ordered[-1] + max(mean_distance / 2, _SMALLEST_MARGIN))


def _between(low: float, high: float) -> float:
    """Halfway between two numbers; the lower one where no other number lies between them."""
    middle = (low + high) / 2
    return middle if middle < high else low
