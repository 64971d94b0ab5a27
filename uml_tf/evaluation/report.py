"""An evaluation on disk: metrics.json, metrics.md and the figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from uml_tf.evaluation.evaluate import Evaluation
from uml_tf.evaluation.measure import ImageMeasure
from uml_tf.evaluation.statistics import ClassArrays, class_arrays
from uml_tf.evaluation.summary import as_json, as_markdown
from uml_tf.figures.plots import confusion_matrix, reliability_diagram, risk_coverage_curve
from uml_tf.figures.save import save_figure
from uml_tf.metrics.calibration import calibration_histogram
from uml_tf.runtime.files import write_json, write_text
from uml_tf.runtime.model_card import ModelCard


def _reliability(measures: Sequence[ImageMeasure], arrays: ClassArrays) -> Figure:
    """Reliability of the class and of the pixels, as far as the split has labels and masks."""
    panels = {}
    if arrays.images:
        title = f"class, {len(arrays.images)} images"
        panels[title] = calibration_histogram(arrays.probability.max(axis=1), arrays.correct)
    masked = [m.counts["mask_ece"] for m in measures if m.counts]
    if masked:
        panels[f"pixels of {len(masked)} images"] = np.sum(masked, axis=0)
    return reliability_diagram(panels)


def write_evaluation(folder: Path, evaluation: Evaluation, card: ModelCard) -> list[Path]:
    """Writes ``metrics.json``, ``metrics.md`` and the figures.

    Args:
        folder: where; the figures go to ``figures`` in it.
        evaluation: what was measured.
        card: class names and referral threshold of the model.

    Returns:
        The written files.
    """
    arrays = class_arrays(evaluation.measures)
    figures = {"reliability": _reliability(evaluation.measures, arrays)}
    if arrays.images:
        predicted = arrays.probability.argmax(axis=1)
        orders = {
            "class uncertainty": arrays.uncertainty,
            "1 - largest probability": arrays.scores["max_probability"],
        }
        figures |= {
            "confusion_matrix": confusion_matrix(arrays.labels, predicted, card.image_classes),
            "risk_coverage": risk_coverage_curve(orders, arrays.correct, card.refer_above),
        }
    numbers, table = folder / "metrics.json", folder / "metrics.md"
    write_json(numbers, as_json(evaluation.metrics))
    write_text(table, as_markdown(evaluation.metrics))
    written = [numbers, table]
    for name, figure in figures.items():
        written.append(folder / "figures" / f"{name}.png")
        save_figure(figure, written[-1])
    return written
