"""The figures of an evaluation, from the measures of its images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from uml_tf.evaluation.measure import ImageMeasure
from uml_tf.evaluation.statistics import ClassArrays, class_arrays
from uml_tf.evaluation.summary import Metrics
from uml_tf.figures.plots import (
    confusion_matrix,
    decided_images,
    reliability_diagram,
    risk_coverage_curve,
)
from uml_tf.metrics.calibration import calibration_histogram
from uml_tf.runtime.model_card import ModelCard


def _reliability(measures: Sequence[ImageMeasure], arrays: ClassArrays) -> dict[str, Figure]:
    """Reliability of the class and of the pixels, as far as the split has labels and masks; none without."""
    panels = {}
    if arrays.images:
        title = f"class, {len(arrays.images)} images"
        panels[title] = calibration_histogram(arrays.confidence, arrays.correct)
    masked = [m.counts["mask_ece"] for m in measures if m.counts]
    if masked:
        panels[f"pixels of {len(masked)} images"] = np.sum(masked, axis=0)
    return {"reliability": reliability_diagram(panels)} if panels else {}


def _decided(metrics: Metrics) -> tuple[float, float, tuple[float, float]] | None:
    """Coverage, risk and its interval at the model's thresholds; None where nothing is accepted."""
    accepted, risk = (metrics.get(name) for name in ("accepted", "accepted_risk"))
    if not accepted or not risk or accepted.value is None or risk.value is None:
        return None
    return accepted.value, risk.value, (risk.low or 0.0, risk.high or 0.0)


def evaluation_figures(
    measures: Sequence[ImageMeasure], metrics: Metrics, card: ModelCard
) -> dict[str, Figure]:
    """Reliability and, with labels, confusion matrix, risk-coverage curve and decided images, by name.

    A split without a label and without a pixel whose class is known has no figure.

    Args:
        measures: of the images of a split.
        metrics: of these measures; the accepted share and its risk are marked.
        card: names of the model's classes.
    """
    arrays = class_arrays(measures)
    figures = _reliability(measures, arrays)
    if arrays.images:
        predicted = arrays.probability.argmax(axis=1)
        orders = {
            "class uncertainty": arrays.uncertainty,
            "1 - largest probability": arrays.scores["max_probability"],
        }
        if not np.array_equal(arrays.scores["confidence"], arrays.scores["max_probability"]):
            orders["1 - confidence"] = arrays.scores["confidence"]
        figures |= {
            "confusion_matrix": confusion_matrix(arrays.labels, predicted, card.image_classes),
            "risk_coverage": risk_coverage_curve(orders, arrays.correct, _decided(metrics)),
        }
        decisions = [measures[place].decision for place in arrays.images]
        if all(decisions):
            figures["decisions"] = decided_images(arrays.confidence, arrays.correct, decisions)
    return figures
