"""Calibration: are predictions with a confidence of 0.8 correct 8 times of 10?"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from uml_tf.metrics.draws import OfDraws
from uml_tf.metrics.metric import METRICS, ConfidenceMetric, PixelMetric

BINS = 15
_DRAWS = 1000


def _bins(confidence: NDArray[Any]) -> NDArray[Any]:
    return np.clip((confidence * BINS).astype(int), 0, BINS - 1)


def calibration_histogram(confidence: NDArray[Any], correct: NDArray[Any]) -> NDArray[np.float64]:
    """``(BINS, 3)``: per equal-width confidence bin the count, summed confidence and number correct.

    Histograms of parts of the data add up to the histogram of the whole.

    Args:
        confidence: in the chosen class, any shape, in [0, 1].
        correct: whether it was the true class, same shape.
    """
    flat = confidence.ravel()
    index = _bins(flat)
    weights = (None, flat, correct.ravel().astype(float))
    return np.stack([np.bincount(index, w, minlength=BINS) for w in weights], axis=1).astype(float)


def calibration_error_of_histogram(histogram: NDArray[Any]) -> float:
    """Expected calibration error of a ``(BINS, 3)`` histogram, in [0, 1]; nan if it is empty."""
    total = histogram[:, 0].sum()
    return float(np.abs(histogram[:, 1] - histogram[:, 2]).sum() / total) if total else float("nan")


def expected_calibration_error(confidence: NDArray[Any], correct: NDArray[Any]) -> float:
    """Expected calibration error over 15 equal-width bins (Guo et al., 2017), in [0, 1]."""
    return calibration_error_of_histogram(calibration_histogram(confidence, correct))


def calibration_error_of_draws(confidence: NDArray[Any], correct: NDArray[Any]) -> OfDraws:
    """``expected_calibration_error`` of resamples, of ``(N,)`` arrays."""
    index, gap = _bins(confidence), confidence - correct

    def values(draws: NDArray[Any]) -> NDArray[Any]:
        gaps = np.array([np.bincount(index, draw * gap) for draw in draws])
        return np.abs(gaps).sum(axis=1) / draws.sum(axis=1)

    return values


def calibration_error_if_calibrated(confidence: NDArray[Any], seed: int = 0) -> tuple[float, float, float]:
    """What ``expected_calibration_error`` would be if every confidence were the chance of being right.

    With few answers a calibrated confidence has a large error too, by chance alone. Answers are drawn
    independently; those of one subject are not, so that the true figures lie higher.

    Args:
        confidence: ``(N,)`` in [0, 1].
        seed: of the drawn answers.

    Returns:
        Mean, and the 2.5 % and 97.5 % quantiles, of 1000 draws.

    Source: consistency resampling, Broecker and Smith, Weather and Forecasting, 2007.
    """
    index, rng = _bins(confidence), np.random.default_rng(seed)
    errors = np.zeros(_DRAWS)
    for number in range(_DRAWS):
        gap = confidence - (rng.random(len(confidence)) < confidence)
        errors[number] = np.abs(np.bincount(index, gap)).sum() / len(confidence)
    low, high = np.quantile(errors, (0.025, 0.975))
    return float(errors.mean()), float(low), float(high)


METRICS.add(
    "ece",
    ConfidenceMetric(
        value=expected_calibration_error,
        of_draws=calibration_error_of_draws,
        better="lower",
        headline=True,
        description="expected calibration error of the most probable class, 15 equal bins (Guo et al., 2017)",
    ),
)
METRICS.add(
    "mask_ece",
    PixelMetric(
        count=lambda pixels: calibration_histogram(pixels.confidence, pixels.correct),
        value=calibration_error_of_histogram,
        better="lower",
        description="expected calibration error of the most probable pixel class, 15 equal bins",
    ),
)
