"""An evaluation on disk: metrics.json, metrics.md and the figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from uml_tf.evaluation.evaluate import Evaluation
from uml_tf.evaluation.measure import ImageMeasure
from uml_tf.evaluation.summary import as_json, as_markdown, class_arrays
from uml_tf.figures.plots import confusion_matrix, reliability_diagram, risk_coverage_curve
from uml_tf.figures.save import save_figure
from uml_tf.metrics.calibration import calibration_histogram
from uml_tf.runtime.files import write_json, write_text
from uml_tf.runtime.model_card import ModelCard


def _reliability(measures: Sequence[ImageMeasure]) -> Figure:
    """Reliability of the class and of the pixels, as far as the split has labels and masks."""
    labels, probability, _ = class_arrays(measures)
    panels = {}
    if len(labels):
        correct = probability.argmax(axis=1) == labels
        title = f"class, {len(labels)} images"
        panels[title] = calibration_histogram(probability.max(axis=1), correct)
    masked = [m.calibration for m in measures if m.calibration is not None]
    if masked:
        panels[f"pixels of {len(masked)} images"] = np.sum(masked, axis=0)
    return reliability_diagram(panels)


def write_evaluation(folder: Path, evaluation: Evaluation, card: ModelCard) -> list[Path]:
    """Writes what was measured.

    Returns:
        The written files.
    """
    figures = {"reliability": _reliability(evaluation.measures)}
    labels, probability, uncertainty = class_arrays(evaluation.measures)
    if len(labels):
        predicted = probability.argmax(axis=1)
        figures |= {
            "confusion_matrix": confusion_matrix(labels, predicted, card.image_classes),
            "risk_coverage": risk_coverage_curve(uncertainty, predicted == labels, card.refer_above),
        }
    numbers, table = folder / "metrics.json", folder / "metrics.md"
    write_json(numbers, as_json(evaluation.metrics))
    write_text(table, as_markdown(evaluation.metrics))
    written = [numbers, table]
    for name, figure in figures.items():
        written.append(folder / "figures" / f"{name}.png")
        save_figure(figure, written[-1])
    return written
