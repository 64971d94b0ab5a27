"""Calibration of class and pixels before the fitted temperature, after it, and of the fitted confidence."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uml_tf.evaluation.measure import ImageMeasure
from uml_tf.evaluation.stage_counts import COUNTED, STAGES, untempered
from uml_tf.metrics.adaptive_calibration import adaptive_calibration_error_of_draws
from uml_tf.metrics.bootstrap import Estimate, bootstrap
from uml_tf.metrics.calibration import calibration_error_of_draws
from uml_tf.metrics.calibration_counts import counted_adaptive_ece, counted_brier, counted_ece
from uml_tf.metrics.draws import mean_of_draws

Array = NDArray[Any]

MEASURES = ("ECE", "adaptive ECE", "Brier")


@dataclass(frozen=True)
class Calibration:
    """Calibration of one part of the answers at one stage.

    Attributes:
        part: "class" or "pixels".
        stage: one of ``STAGES``.
        estimates: name of ``MEASURES`` -> value with its interval.
    """

    part: str
    stage: str
    estimates: Mapping[str, Estimate]


def _of_class(measures: Sequence[ImageMeasure], temperature: float | None) -> list[Calibration]:
    labelled = [m for m in measures if m.label >= 0]
    if not labelled:
        return []
    after = np.array([m.probability for m in labelled])
    right = after.argmax(axis=1) == np.array([m.label for m in labelled])
    confidence = np.array([m.class_confidence for m in labelled])
    stages = dict(
        zip(STAGES, (untempered(after, temperature).max(axis=1), after.max(axis=1), confidence), strict=True)
    )
    subjects = [m.resampled_with for m in labelled]

    def of(values: Array) -> Callable[[Array], Array]:
        functions = (
            calibration_error_of_draws(values, right),
            adaptive_calibration_error_of_draws(values, right),
            mean_of_draws((values - right) ** 2),
        )
        return lambda draws: np.stack([function(draws) for function in functions], axis=1)

    return [
        Calibration("class", stage, dict(zip(MEASURES, bootstrap(of(values), subjects), strict=True)))
        for stage, values in stages.items()
        if not np.isnan(values).any()
    ]


def _of_pixels(measures: Sequence[ImageMeasure]) -> list[Calibration]:
    found = []
    for stage in STAGES:
        counted = [m for m in measures if f"{COUNTED}{stage}" in m.counts]
        if counted:
            counts = np.stack([m.counts[f"{COUNTED}{stage}"] for m in counted])

            def measured(draws: Array, counts: Array = counts) -> Array:
                return np.array(
                    [
                        [counted_ece(total), counted_adaptive_ece(total), counted_brier(total)]
                        for total in np.tensordot(draws, counts, 1)
                    ]
                )

            estimates = bootstrap(measured, [m.resampled_with for m in counted])
            found.append(Calibration("pixels", stage, dict(zip(MEASURES, estimates, strict=True))))
    return found


def calibration_stages(
    measures: Sequence[ImageMeasure], class_temperature: float | None
) -> list[Calibration]:
    """What every stage changes, of class and pixels, with intervals over subjects.

    Args:
        measures: of the images.
        class_temperature: what was fitted, or None.
    """
    return _of_class(measures, class_temperature) + _of_pixels(measures)


def calibration_markdown(found: Sequence[Calibration]) -> str:
    """A row for each part and stage."""
    lines = [
        "| calibration (lower is better) | " + " | ".join(MEASURES) + " |",
        "| --- |" + " --- |" * len(MEASURES),
    ]
    for one in found:
        cells = [
            "not defined" if e.value is None else f"{e.value:.4f} ({e.low:.4f} to {e.high:.4f})"
            for e in one.estimates.values()
        ]
        lines.append(f"| {one.part}, {one.stage} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def calibration_csv(found: Sequence[Calibration]) -> str:
    """A line for each part, stage and measure."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["part", "stage", "measure", "value", "low", "high", "images", "subjects"])
    for one in found:
        for name, e in one.estimates.items():
            writer.writerow([one.part, one.stage, name, e.value, e.low, e.high, e.images, e.subjects])
    return buffer.getvalue()
