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
_RATIO = "vertical_cup_to_disc_ratio"


def unreadable(image: str, reason: str) -> Answer:
    """The answer for an image that could not be read."""
    return {"image": image, "decision": UNREADABLE, "reason": reason}


def columns(card: ModelCard, measured_in_mm: bool = False) -> list[str]:
    """The columns of a model's table.

    ``image``, ``predicted`` (the most probable class), ``probability_CLASS``, ``class_confidence``,
    ``class_uncertainty``, ``familiarity``, ``decision``, ``reason``, ``mask_confidence`` and
    ``mask_uncertainty`` (means over the pixels), ``area_REGION`` (pixels of the original image),
    ``area_mm2_REGION`` where the size of a pixel is known, and, where the classes have them,
    ``vertical_cup_to_disc_ratio``.
    """
    probabilities = [f"probability_{name}" for name in card.image_classes]
    areas = [f"area_{name}" for name in region_members(card.pixel_classes, card.unions)]
    if measured_in_mm:
        areas += [name.replace("area_", "area_mm2_", 1) for name in areas]
    ratios = [_RATIO] if {"cup", "rim"} <= set(card.pixel_classes) else []
    measured = [*_NUMBERS[:3], "decision", "reason", *_NUMBERS[3:]]
    return ["image", "predicted", *probabilities, *measured, *areas, *ratios]


def _row(answer: Answer) -> dict[str, str]:
    row = {name: answer[name] for name in ("image", "decision", "reason")}
    if answer["decision"] == UNREADABLE:
        return row
    row["predicted"] = answer["class"]
    row |= {name: f"{answer[name]:.6g}" for name in _NUMBERS}
    row |= {f"probability_{name}": f"{value:.6g}" for name, value in answer["class_probability"].items()}
    row |= {f"area_{name}": str(region["area"]) for name, region in answer["pixels"].items()}
    row |= {
        f"area_mm2_{name}": f"{region['area_mm2']:.6g}"
        for name, region in answer["pixels"].items()
        if "area_mm2" in region
    }
    if answer.get(_RATIO) is not None:
        row[_RATIO] = f"{answer[_RATIO]:.6g}"
    return row


def predictions_table(answers: Sequence[Answer], card: ModelCard) -> str:
    """The answers as CSV; see ``columns``. Fields that do not apply are empty.

    Args:
        answers: of the images.
        card: names of the model's classes.
    """
    buffer = io.StringIO()
    writer = csv.DictWriter(
        buffer,
        columns(card, any("spacing_mm" in answer for answer in answers)),
        restval="",
        lineterminator="\n",
    )
    writer.writeheader()
    writer.writerows(map(_row, answers))
    return buffer.getvalue()
