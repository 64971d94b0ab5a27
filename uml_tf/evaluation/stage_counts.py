"""The calibration of one image's pixels, before the fitted temperature, after it, and by the confidence."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from uml_tf.metrics.calibration_counts import calibration_counts
from uml_tf.runtime.contract import tempered

Array = NDArray[Any]

BEFORE, AFTER, CONFIDENCE = "before the temperature", "after the temperature", "confidence"
STAGES = (BEFORE, AFTER, CONFIDENCE)

COUNTED = "calibration "
"""Before the name of a stage, among an image's counts: its ``calibration_counts``."""

_MOST_PIXELS = 100_000


def untempered(probability: Array, temperature: float | None) -> Array:
    """The ``(..., K)`` probabilities that a temperature made these of."""
    return probability if temperature is None else tempered(probability, 1 / temperature)


def stage_counts(
    probability: Array, confidence: Array, correct: Array, temperature: float | None
) -> dict[str, Array]:
    """The counts of every stage, of at most 100,000 pixels of an image at equal distances.

    Args:
        probability: ``(N, C)`` after the temperature.
        confidence: ``(N,)``.
        correct: ``(N,)`` bool.
        temperature: what was fitted, or None.
    """
    some = slice(None, None, max(-(-len(correct) // _MOST_PIXELS), 1))
    after, right = probability[some], correct[some]
    stages = (untempered(after, temperature).max(axis=-1), after.max(axis=-1), confidence[some])
    pairs = zip(STAGES, stages, strict=True)
    return {f"{COUNTED}{stage}": calibration_counts(values, right) for stage, values in pairs}
