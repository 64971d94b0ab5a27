"""An evaluation on disk: numbers, a table of the images, and the figures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from uml_tf.data.dataset import DatasetInfo
from uml_tf.evaluation.calibration_stages import (
    calibration_csv,
    calibration_markdown,
    calibration_stages,
)
from uml_tf.evaluation.drawing import evaluation_figures
from uml_tf.evaluation.evaluate import Evaluation
from uml_tf.evaluation.experts import experts_agreement, experts_markdown
from uml_tf.evaluation.image_table import image_table
from uml_tf.evaluation.overview import overview_csv, overview_markdown, overview_rows
from uml_tf.evaluation.selection import default_names
from uml_tf.evaluation.summary import as_json, as_markdown
from uml_tf.figures.save import save_figure
from uml_tf.runtime.files import write_json, write_text
from uml_tf.runtime.model_card import ModelCard


def _info(card: ModelCard) -> DatasetInfo:
    """The classes of the model, as those of a data set."""
    return DatasetInfo(
        name=card.dataset or "model",
        image_classes=card.image_classes,
        pixel_classes=card.pixel_classes,
        unions=card.unions,
    )


def _markdown(evaluation: Evaluation, card: ModelCard) -> str:
    text = as_markdown(evaluation.metrics, evaluation.unit)
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
        card: of the model; of a mean of several predictions the mean's own, to which nothing was fitted.

    Returns:
        The written files.
    """
    numbers, table, images = (folder / name for name in ("metrics.json", "metrics.md", "images.csv"))
    write_json(numbers, as_json(evaluation.metrics))
    stages = calibration_stages(evaluation.measures, card.trust)
    experts = experts_markdown(experts_agreement(evaluation.measures))
    parts = (_markdown(evaluation, card), calibration_markdown(stages), experts)
    write_text(table, "\n".join(part for part in parts if part))
    write_text(images, image_table(evaluation.measures, card))
    written = [numbers, table, images, folder / "calibration.csv"]
    write_text(written[-1], calibration_csv(stages))
    if evaluation.sources:
        written.append(folder / "sources.json")
        write_json(written[-1], {name: as_json(found) for name, found in evaluation.sources.items()})
    for name, figure in evaluation_figures(evaluation.measures, evaluation.metrics, card).items():
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
