"""``predictions.csv``: what a model found in each of many images, one row an image."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from uml_tf.runtime.model_card import ModelCard
from uml_tf.runtime.regions import region_members

TABLE = "predictions.csv"
UNREADABLE = "unreadable"
"""The ``decision`` of an image that could not be read."""

Answer = Mapping[str, Any]
"""The JSON of one prediction; of an image that could not be read, ``image``, ``decision`` and ``reason``."""

_NUMBERS = ("class_confidence", "class_uncertainty", "familiarity", "mask_confidence", "mask_uncertainty")
_AREAS = ("area", "area_mm2")
_RATIO = "vertical_cup_to_disc_ratio"


def unreadable(image: str, reason: str) -> Answer:
    """The answer for an image that could not be read."""
    return {"image": image, "decision": UNREADABLE, "reason": reason}


def columns(card: ModelCard) -> list[str]:
    """The columns of a model's table.

    ``image``, ``predicted`` (the most probable class), ``probability_CLASS``, ``class_confidence``,
    ``class_uncertainty``, ``familiarity``, ``decision``, ``reason``, ``mask_confidence`` and
    ``mask_uncertainty`` (means over the pixels), ``area_REGION`` (pixels of the original image) and
    ``area_mm2_REGION`` (where the file tells the size of a pixel), where the classes have them
    ``vertical_cup_to_disc_ratio``, and ``quality_REGION`` where the Dice is estimated.
    """
    probabilities = [f"probability_{name}" for name in card.image_classes]
    regions = region_members(card.pixel_classes, card.unions)
    areas = [f"{measured}_{name}" for measured in _AREAS for name in regions]
    ratios = [_RATIO] if {"cup", "rim"} <= set(card.pixel_classes) else []
    measured = [*_NUMBERS[:3], "decision", "reason", *_NUMBERS[3:]]
    qualities = [f"quality_{name}" for name in card.mask_quality]
    return ["image", "predicted", *probabilities, *measured, *areas, *ratios, *qualities]


def _row(answer: Answer) -> dict[str, str]:
    row = {name: answer[name] for name in ("image", "decision", "reason")}
    if answer["decision"] == UNREADABLE:
        return row
    row["predicted"] = answer["class"]
    row |= {name: f"{answer[name]:.6g}" for name in _NUMBERS}
    row |= {f"probability_{name}": f"{value:.6g}" for name, value in answer["class_probability"].items()}
    for name, region in answer["pixels"].items():
        row |= {f"{measured}_{name}": f"{region[measured]:.9g}" for measured in _AREAS if measured in region}
    if answer.get(_RATIO) is not None:
        row[_RATIO] = f"{answer[_RATIO]:.6g}"
    quality = answer.get("mask_quality", {})
    return row | {f"quality_{name}": f"{value:.6g}" for name, value in quality.items() if value is not None}


def predictions_table(answers: Sequence[Answer], card: ModelCard) -> str:
    """The answers as CSV; see ``columns``. Fields that do not apply are empty.

    Args:
        answers: of the images.
        card: names of the model's classes.
    """
    header = dict(zip(columns(card), columns(card), strict=True))
    return _text([header, *map(_row, answers)], card)


def table_row(answer: Answer, card: ModelCard) -> str:
    """The line of one answer in the table."""
    return _text([_row(answer)], card)


def _text(rows: Sequence[Mapping[str, str]], card: ModelCard) -> str:
    buffer = io.StringIO()
    # Answers of a model with other classes, which a folder may hold, leave fields empty or out.
    writer = csv.DictWriter(buffer, columns(card), restval="", extrasaction="ignore", lineterminator="\n")
    writer.writerows(rows)
    return buffer.getvalue()
