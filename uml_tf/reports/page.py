"""The report of a model as one page that needs nothing else: no network, no other file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from uml_tf.evaluation.drawing import evaluation_figures
from uml_tf.evaluation.measure import ImageMeasure
from uml_tf.evaluation.robustness import robustness_figure
from uml_tf.evaluation.statistics import class_arrays
from uml_tf.reports.charts import as_svg
from uml_tf.reports.examples import (
    Overlays,
    is_wrong,
    most_confident_wrong,
    most_doubtful,
    wrong_and_accepted,
)
from uml_tf.reports.facts import decided, measured_confidence, measured_facts, training_facts
from uml_tf.reports.groups import SHOWN, Grouping
from uml_tf.reports.material import Material
from uml_tf.reports.words import UNDEFINED, chief, percent, shown
from uml_tf.runtime.metadata import INTENDED_USE
from uml_tf.runtime.model_card import ModelCard
from uml_tf.runtime.outline_words import LIMITS, WORDS, outline_in_words
from uml_tf.runtime.overlay import class_colour
from uml_tf.runtime.regions import region_members
from uml_tf.runtime.version import VERSION

EXAMPLES = 10
"""Images of each kind that are shown."""


@dataclass(frozen=True)
class Choices:
    """What of a report was asked for.

    Attributes:
        groupings: the tables by group.
        overlays: image -> how it is shown; None for a page without images.
        no_images: why there are none, where they were wanted; "" else.
    """

    groupings: Sequence[Grouping] = ()
    overlays: Mapping[str, Overlays] | None = None
    no_images: str = ""


def shown_measures(material: Material) -> list[ImageMeasure]:
    """The measures of all images that a page shows."""
    measures = material.measures
    wrong = wrong_and_accepted(measures, EXAMPLES) or most_confident_wrong(measures, EXAMPLES)
    return [*most_doubtful(measures, EXAMPLES), *wrong]


def _metric_rows(material: Material) -> list[dict[str, str]]:
    rows = []
    for name, words in chief(material.metrics, material.unit).items():
        value, interval = shown(material.metrics[name], words.share, words.unit)
        images = str(material.metrics[name].images)
        rows.append(
            {
                "name": words.name,
                "value": value,
                "interval": interval,
                "images": images,
                "meaning": words.meaning,
            }
        )
    return rows


def _confusion(material: Material) -> dict[str, Any] | None:
    """Counts by true and predicted class, with the share of each true class that is found."""
    arrays, classes = class_arrays(material.measures), material.card.image_classes
    if not arrays.images:
        return None
    counts = np.zeros((len(classes), len(classes)), int)
    np.add.at(counts, (arrays.labels, arrays.probability.argmax(axis=1)), 1)
    rows = []
    for index, name in enumerate(classes):
        total = int(counts[index].sum())
        found = percent(counts[index, index] / total) if total else ""
        rows.append({"name": name, "counts": counts[index].tolist(), "place": index, "found": found})
    return {"classes": classes, "rows": rows}


def _outlines(measure: ImageMeasure, card: ModelCard) -> list[dict[str, str]]:
    """How good the outline of every region is estimated to be, beside its true Dice; none without estimates.

    The true Dice is "" where the image has no mask.
    """
    quality = {name: None if np.isnan(dice) else dice for name, dice in measure.quality.items()}
    if not quality:
        return []
    rows = []
    for region in region_members(card.pixel_classes, card.unions):
        dice = measure.values.get(f"dice_{region}")
        true = "" if dice is None else UNDEFINED if np.isnan(dice) else f"{dice:.2f}"
        rows.append({"region": region, "outline": outline_in_words(quality, region), "dice": true})
    return rows


def _outline_limits(material: Material) -> list[tuple[str, str]]:
    """(words, least estimated Dice) of an outline, the best first; none where no Dice was estimated."""
    if not any(measure.quality for measure in material.measures):
        return []
    return [(WORDS[level], f"{least:.2f}") for least, level in LIMITS]


def _example(measure: ImageMeasure, material: Material, overlays: Mapping[str, Overlays]) -> dict[str, Any]:
    classes = material.card.image_classes
    dice = measure.values.get("mean_dice", float("nan"))
    return {
        "image": measure.image,
        "label": classes[measure.label] if measure.label >= 0 else "not known",
        "predicted": classes[int(measure.probability.argmax())],
        "wrong": is_wrong(measure),
        "confidence": percent(measure.class_confidence),
        "uncertainty": f"{measure.class_uncertainty:.2f}",
        "decision": measure.decision,
        "dice": "" if np.isnan(dice) else f"{dice:.2f}",
        "masked": measure.masked,
        "outlines": _outlines(measure, material.card),
        "overlays": overlays.get(measure.image),
    }


def _examples(material: Material, choices: Choices) -> dict[str, Any]:
    measures, overlays = material.measures, choices.overlays or {}
    accepted = wrong_and_accepted(measures, EXAMPLES)
    wrong = accepted or most_confident_wrong(measures, EXAMPLES)
    return {
        "doubtful": [_example(m, material, overlays) for m in most_doubtful(measures, EXAMPLES)],
        "wrong": [_example(m, material, overlays) for m in wrong],
        "wrong_accepted": len([m for m in measures if is_wrong(m) and m.decision == "accept"]),
        "accepted": len([m for m in measures if m.decision == "accept"]),
        "decided": any(m.decision for m in measures),
    }


def _grouping(grouping: Grouping, material: Material) -> dict[str, Any]:
    words = {name: w for name, w in chief(material.metrics).items() if name in SHOWN}

    def cells(metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
        return [shown(metrics.get(name), w.share) for name, w in words.items()]

    rows = [
        {
            "name": g.name,
            "images": g.images,
            "subjects": g.subjects,
            "few": g.few,
            "apart": [words[name].name for name in g.apart if name in words],
            "cells": cells(g.metrics),
        }
        for g in grouping.groups
    ]
    return {
        "by": grouping.by,
        "columns": [w.name for w in words.values()],
        "rows": rows,
        "whole": cells(material.metrics),
        "images": len(material.measures),
    }


def _figure(material: Material, name: str) -> Figure:
    return evaluation_figures(material.measures, material.metrics, material.card)[name]


def _figures(material: Material) -> dict[str, str]:
    """Name -> SVG; Matplotlib reads its style when a figure is made, so each is made when it is saved."""
    labels = {
        "reliability": "Stated confidence against the share that is right",
        "decisions": "Each picture by its confidence, right and wrong ones apart, coloured by the decision",
        "risk_coverage": "Share of wrong answers against the share of pictures that are answered",
    }
    found: dict[str, str] = {}
    names = evaluation_figures(material.measures, material.metrics, material.card)
    for name, label in labels.items():
        if name in names:
            found[name] = as_svg(name, partial(_figure, material, name), label)
    corrupted = material.robustness
    if corrupted is not None:
        label = "Each kind of bad picture: how the measures change from severity 0 to 5"
        found["robustness"] = as_svg("robustness", lambda: robustness_figure(corrupted, columns=3), label)
    return found


def _export(kind: str, fidelity: Mapping[str, Any]) -> dict[str, Any]:
    def number(name: str, form: str) -> str:
        value = fidelity.get(name)
        return "" if value is None else format(float(value), form)

    size = sum(
        float(v) for n, v in fidelity.items() if n.startswith("bytes_") and n != "bytes_float32_weights"
    )
    return {
        "kind": kind,
        "kept": bool(fidelity.get("kept")),
        "broken": fidelity.get("broken", []),
        "compared_on": fidelity.get("compared_on", ""),
        "class_agreement": number("class_agreement", ".4f"),
        "mask_agreement": number("mask_agreement", ".4f"),
        "class_rho": number("class_uncertainty_rho", ".4f"),
        "mask_rho": number("mask_uncertainty_rho", ".4f"),
        "size": f"{size / 1e6:.2f} MB" if size else "",
    }


def render(material: Material, choices: Choices) -> str:
    """The page as HTML.

    Args:
        material: what was measured.
        choices: what of it is shown.
    """
    environment = Environment(
        loader=PackageLoader("uml_tf.reports", "pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html").render(
        title=f"{material.card.dataset or 'model'}, measured on {material.dataset}",
        intended_use=INTENDED_USE,
        version=VERSION,
        model=material.model,
        training=training_facts(material),
        measured=measured_facts(material),
        promise=decided(material),
        confidence=measured_confidence(material),
        averaged=material.averaged,
        class_is_fitted=not material.mean_of and material.card.trust.class_confidence is not None,
        metrics=_metric_rows(material),
        all_metrics=[(name, *shown(e), e.images) for name, e in sorted(material.metrics.items())],
        confusion=_confusion(material),
        figures=_figures(material),
        groupings=[_grouping(g, material) for g in choices.groupings],
        examples=_examples(material, choices),
        legend=[
            (name, "#{:02x}{:02x}{:02x}".format(*class_colour(index)))
            for index, name in enumerate(material.card.pixel_classes)
            if index
        ],
        with_images=choices.overlays is not None,
        no_images=choices.no_images,
        outline_limits=_outline_limits(material),
        marked=material.card.accept_above is not None,
        exports=[_export(kind, fidelity) for kind, fidelity in material.exports.items()],
    )
