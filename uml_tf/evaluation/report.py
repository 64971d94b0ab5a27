"""An evaluation on disk: numbers, a table of the images, and the figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from uml_tf.data.dataset import DatasetInfo
from uml_tf.evaluation.calibration_stages import (
    calibration_csv,
    calibration_markdown,
    calibration_stages,
)
from uml_tf.evaluation.evaluate import Evaluation
from uml_tf.evaluation.experts import experts_agreement, experts_markdown
from uml_tf.evaluation.image_table import image_table
from uml_tf.evaluation.measure import ImageMeasure
from uml_tf.evaluation.overview import overview_csv, overview_markdown, overview_rows
from uml_tf.evaluation.selection import default_names
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
        panels[title] = calibration_histogram(arrays.confidence, arrays.correct)
    masked = [m.counts["mask_ece"] for m in measures if m.counts]
    if masked:
        panels[f"pixels of {len(masked)} images"] = np.sum(masked, axis=0)
    return reliability_diagram(panels)


def _decided(evaluation: Evaluation) -> tuple[float, float, tuple[float, float]] | None:
    """Coverage, risk and its interval at the model's thresholds; None where nothing is accepted."""
    accepted, risk = (evaluation.metrics.get(name) for name in ("accepted", "accepted_risk"))
    if not accepted or not risk or accepted.value is None or risk.value is None:
        return None
    return accepted.value, risk.value, (risk.low or 0.0, risk.high or 0.0)


def _figures(evaluation: Evaluation, card: ModelCard) -> dict[str, Figure]:
    """Name -> figure."""
    arrays = class_arrays(evaluation.measures)
    figures = {"reliability": _reliability(evaluation.measures, arrays)}
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
            "risk_coverage": risk_coverage_curve(orders, arrays.correct, _decided(evaluation)),
        }
    return figures


def _info(card: ModelCard) -> DatasetInfo:
    """The classes of the model, as those of a data set."""
    return DatasetInfo(
        name=card.dataset or "model",
        image_classes=card.image_classes,
        pixel_classes=card.pixel_classes,
        unions=card.unions,
    )


def _markdown(evaluation: Evaluation, card: ModelCard) -> str:
    text = as_markdown(evaluation.metrics)
    if evaluation.sources:
        rows = overview_rows({card.dataset or "data set": evaluation})[1:]
        text += f"\nBy source:\n\n{overview_markdown(rows, default_names(_info(card)))}"
    return text


def write_evaluation(folder: Path, evaluation: Evaluation, card: ModelCard) -> list[Path]:
    """Writes ``metrics.json``, ``metrics.md``, ``images.csv``, ``calibration.csv`` and the figures.

    Where the images are of several sources, ``sources.json`` has the metrics of each, and ``metrics.md`` a
    table of them.

    Args:
        folder: where; the figures go to ``figures`` in it.
        evaluation: what was measured.
        card: class names and referral threshold of the model.

    Returns:
        The written files.
    """
    numbers, table, images = (folder / name for name in ("metrics.json", "metrics.md", "images.csv"))
    write_json(numbers, as_json(evaluation.metrics))
    stages = calibration_stages(evaluation.measures, card.trust.class_temperature)
    experts = experts_markdown(experts_agreement(evaluation.measures))
    parts = (_markdown(evaluation, card), calibration_markdown(stages), experts)
    write_text(table, "\n".join(part for part in parts if part))
    write_text(images, image_table(evaluation.measures, card))
    written = [numbers, table, images, folder / "calibration.csv"]
    write_text(written[-1], calibration_csv(stages))
    if evaluation.sources:
        written.append(folder / "sources.json")
        write_json(written[-1], {name: as_json(found) for name, found in evaluation.sources.items()})
    for name, figure in _figures(evaluation, card).items():
        written.append(folder / "figures" / f"{name}.png")
        save_figure(figure, written[-1])
    return written


def write_evaluations(folder: Path, evaluations: Mapping[str, Evaluation], card: ModelCard) -> list[Path]:
    """Writes the evaluation of each data set into a folder of its name, and an overview of all.

    ``overview.md`` shows the chief metrics of every data set and source, ``overview.csv`` all of them.

    Args:
        folder: where.
        evaluations: name of a data set -> what was measured.
        card: of the model.

    Returns:
        The written files, the two of the overview first.
    """
    rows = overview_rows(evaluations)
    written = [folder / "overview.md", folder / "overview.csv"]
    write_text(written[0], overview_markdown(rows, default_names(_info(card))))
    write_text(written[1], overview_csv(rows))
    for name, evaluation in evaluations.items():
        written += write_evaluation(folder / name, evaluation, card)
    return written
