"""``images.csv``: the prediction for every image and how well it fits, one row an image."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence

from uml_tf.evaluation.measure import ImageMeasure
from uml_tf.runtime.model_card import ModelCard


def _number(value: float) -> str:
    """Six significant digits; nothing where the value is undefined."""
    return "" if math.isnan(value) else f"{value:.6g}"


def _found(region: float) -> str:
    return "" if math.isnan(region) else ("yes" if region else "no")


def _record(measure: ImageMeasure, card: ModelCard) -> dict[str, str]:
    classes = card.image_classes
    probabilities = {
        f"probability_{name}": _number(float(p)) for name, p in zip(classes, measure.probability, strict=True)
    }
    return {
        "image": measure.image,
        "dataset": measure.source,
        "subject": measure.subject,
        "label": classes[measure.label] if measure.label >= 0 else "",
        "predicted": classes[int(measure.probability.argmax())],
        **probabilities,
        "class_uncertainty": _number(measure.class_uncertainty),
        "class_confidence": _number(measure.class_confidence),
        "decision": measure.decision,
        "region_found": _found(measure.region_found),
        "mask_uncertainty": _number(measure.mask_uncertainty),
        "mask_confidence": _number(measure.mask_confidence),
        "familiarity": _number(measure.familiarity),
        "foreground": _number(measure.foreground),
        **{f"share_{region}": _number(share) for region, share in measure.shares.items()},
        **{name: _number(value) for name, value in measure.values.items()},
        **{f"mask_doubt_{score}": _number(value) for score, value in measure.mask_doubts.items()},
        **{f"quality_{region}": _number(value) for region, value in measure.quality.items()},
        **{name.replace("/", "_"): _number(value) for name, value in measure.intervals.items()},
    }


def image_table(measures: Sequence[ImageMeasure], card: ModelCard) -> str:
    """The images as CSV.

    Columns: ``image``, ``dataset`` (its source in a merged set), ``subject``, ``label``, ``predicted`` (the
    most probable class), ``probability_CLASS``, ``class_uncertainty``, ``class_confidence``, ``decision``,
    ``region_found`` (by the locator, "yes" or "no"; empty without one), ``mask_uncertainty`` and
    ``mask_confidence`` (means over the pixels that were read), ``familiarity`` (empty where not told),
    ``foreground`` and ``share_REGION`` (predicted share of the whole picture), every metric of the mask, e.g.
    ``dice_REGION``, empty where it is undefined, every score of doubt about the mask,
    ``mask_doubt_SCORE``, the estimated Dice ``quality_REGION``, and of every measurement with an interval
    ``MEASUREMENT_low``, ``_high`` and ``_true`` (areas as shares of the predicted area).

    Args:
        measures: of the images, at least one.
        card: names of the model's classes.
    """
    records = [_record(measure, card) for measure in measures]
    columns = list(dict.fromkeys(column for record in records for column in record))
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return buffer.getvalue()
