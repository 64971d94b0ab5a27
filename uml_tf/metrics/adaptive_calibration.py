"""Calibration error over bins that hold equally many images."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from uml_tf.metrics.calibration import BINS
from uml_tf.metrics.draws import OfDraws
from uml_tf.metrics.metric import METRICS, ConfidenceMetric
from uml_tf.metrics.ranking import Ranking, ranked_loss


def adaptive_calibration_error(confidence: NDArray[Any], correct: NDArray[Any]) -> float:
    """Mean |share correct - mean confidence| over 15 bins of equally many images, weighted by their number.

    Bins of equal width are empty where no confidence falls, as below 0.5 for two classes; these never are.
    With few images in a bin chance alone makes it larger than 0. Images of equal confidence share their
    number of correct ones, so that the order of the input never matters.

    Args:
        confidence: ``(N,)`` in [0, 1], N at least 1.
        correct: ``(N,)`` bool.

    Source: Nguyen and O'Connor, "Posterior calibration and exploratory analysis", EMNLP 2015.
    """
    _, place, count = np.unique(confidence, return_inverse=True, return_counts=True)
    shared = np.bincount(place, correct.astype(float)) / count
    order = np.argsort(confidence, kind="stable")
    gaps = np.array_split((shared[place] - confidence)[order], min(BINS, len(order)))
    return float(sum(abs(gap.sum()) for gap in gaps) / len(order))


def _borders(images: int) -> NDArray[Any]:
    """Places of the first image of each of the bins, as ``numpy.array_split`` makes them, and of the end."""
    bins = min(BINS, images)
    larger, size = images % bins, images // bins
    return np.concatenate([[0], np.cumsum([size + 1] * larger + [size] * (bins - larger))])


def adaptive_calibration_error_of_draws(confidence: NDArray[Any], correct: NDArray[Any]) -> OfDraws:
    """``adaptive_calibration_error`` of resamples.

    The sum of the gaps of the n images with the least confidence is piecewise linear in n, with a kink where
    the confidence changes.
    """
    ranked, levels = ranked_loss(confidence, correct), Ranking(confidence).scores

    def values(draws: NDArray[Any]) -> NDArray[Any]:
        of = ranked(draws)
        gaps = np.cumsum(of.loss - of.images * levels, axis=1)
        found = []
        for accepted, gap, total in zip(of.accepted, gaps, of.total, strict=True):
            sums = np.interp(_borders(int(total)), np.append(0, accepted), np.append(0, gap))
            found.append(np.abs(np.diff(sums)).sum() / total)
        return np.array(found)

    return values


METRICS.add(
    "adaptive_ece",
    ConfidenceMetric(
        value=adaptive_calibration_error,
        of_draws=adaptive_calibration_error_of_draws,
        better="lower",
        description="expected calibration error, 15 bins of equally many images (Nguyen and O'Connor, 2015)",
    ),
)
