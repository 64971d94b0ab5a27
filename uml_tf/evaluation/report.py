"""An evaluation on disk: metrics.json, metrics.md and the figures."""

from __future__ import annotations

from pathlib import Path

from uml_tf.evaluation.evaluate import Evaluation
from uml_tf.evaluation.summary import as_json, as_markdown, class_arrays
from uml_tf.figures.plots import confusion_matrix, reliability_diagram, risk_coverage_curve
from uml_tf.figures.save import save_figure
from uml_tf.files import write_json, write_text
from uml_tf.model_card import ModelCard


def write_evaluation(folder: Path, evaluation: Evaluation, card: ModelCard) -> list[Path]:
    """Writes what was measured; answers the written files."""
    figures = {"reliability": reliability_diagram(evaluation.measures)}
    if len(class_arrays(evaluation.measures)[0]):
        figures |= {
            "confusion_matrix": confusion_matrix(evaluation.measures, card.image_classes),
            "risk_coverage": risk_coverage_curve(evaluation.measures, card.refer_above),
        }
    numbers, table = folder / "metrics.json", folder / "metrics.md"
    write_json(numbers, as_json(evaluation.metrics))
    write_text(table, as_markdown(evaluation.metrics))
    written = [numbers, table]
    for name, figure in figures.items():
        written.append(folder / "figures" / f"{name}.png")
        save_figure(figure, written[-1])
    return written
