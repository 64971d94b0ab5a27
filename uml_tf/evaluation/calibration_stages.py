"""Calibration of class and pixels before the fitted temperature, after it, and of the fitted confidence."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uml_tf.evaluation.measure import Counts, ImageMeasure
from uml_tf.evaluation.stage_counts import AFTER, BEFORE, CONFIDENCE, COUNTED, STAGES, untempered
from uml_tf.metrics.adaptive_calibration import adaptive_calibration_error_of_draws
from uml_tf.metrics.bootstrap import Estimate, bootstrap
from uml_tf.metrics.calibration import calibration_error_if_calibrated, calibration_error_of_draws
from uml_tf.metrics.calibration_counts import counted_adaptive_ece, counted_brier, counted_ece
from uml_tf.metrics.draws import in_parts, mean_of_draws, sums_of_draws
from uml_tf.runtime.trust import NO_TRUST, Trust

Array = NDArray[Any]

MEASURES = ("ECE", "adaptive ECE", "Brier")
_COUNTED_MEASURES = (counted_ece, counted_adaptive_ece, counted_brier)
IF_CALIBRATED = "ECE if calibrated"


@dataclass(frozen=True)
class Calibration:
    """Calibration of one part of the answers at one stage.

    Attributes:
        part: "class" or "pixels".
        stage: one of ``STAGES``.
        estimates: name of ``MEASURES`` -> value with its interval.
        if_calibrated: mean, low and high of the ECE that as many calibrated answers would have; of the class
            alone, because the pixels of an image are not independent.
    """

    part: str
    stage: str
    estimates: Mapping[str, Estimate]
    if_calibrated: tuple[float, float, float] | None = None


def _of_class(
    measures: Sequence[ImageMeasure], temperature: float | None, stages: Sequence[str]
) -> list[Calibration]:
    labelled = [m for m in measures if m.label >= 0]
    if not labelled:
        return []
    after = np.array([m.probability for m in labelled])
    right = after.argmax(axis=1) == np.array([m.label for m in labelled])
    stated = {
        BEFORE: untempered(after, temperature).max(axis=1),
        AFTER: after.max(axis=1),
        CONFIDENCE: np.array([m.class_confidence for m in labelled]),
    }
    subjects = [m.resampled_with for m in labelled]

    def of(values: Array) -> Callable[[Array], Array]:
        functions = (
            calibration_error_of_draws(values, right),
            adaptive_calibration_error_of_draws(values, right),
            mean_of_draws((values - right) ** 2),
        )
        return in_parts(lambda draws: np.stack([function(draws) for function in functions], axis=1))

    return [
        Calibration(
            "class",
            stage,
            dict(zip(MEASURES, bootstrap(of(stated[stage]), subjects), strict=True)),
            calibration_error_if_calibrated(stated[stage]),
        )
        for stage in stages
        if not np.isnan(stated[stage]).any()
    ]


def counted_calibration(counts: Sequence[Counts]) -> Callable[[Array], Array]:
    """A function from ``(D, N)`` draws to ``(D, 3)`` values of ``MEASURES``, of the N images' counts."""

    def values(draws: Array) -> Array:
        sums = sums_of_draws(draws, counts)
        return np.array([[measure(total) for measure in _COUNTED_MEASURES] for total in sums])

    return values


def _of_pixels(measures: Sequence[ImageMeasure], stages: Sequence[str]) -> list[Calibration]:
    found = []
    for stage in stages:
        counted = [m for m in measures if f"{COUNTED}{stage}" in m.counts]
        if counted:
            values = counted_calibration([m.counts[f"{COUNTED}{stage}"] for m in counted])
            estimates = bootstrap(values, [m.resampled_with for m in counted])
            found.append(Calibration("pixels", stage, dict(zip(MEASURES, estimates, strict=True))))
    return found


def calibration_stages(measures: Sequence[ImageMeasure], trust: Trust) -> list[Calibration]:
    """What every stage changes, of class and pixels, with intervals over subjects.

    Args:
        measures: of the images.
        trust: what was fitted; where nothing was, as for a mean of several predictions, there is nothing
            before and after it, and ``CONFIDENCE`` is the only stage.
    """
    stages = (CONFIDENCE,) if trust == NO_TRUST else STAGES
    return _of_class(measures, trust.class_temperature, stages) + _of_pixels(measures, stages)


def calibration_markdown(found: Sequence[Calibration]) -> str:
    """A row for each part and stage."""
    lines = [
        f"| calibration (lower is better) | {' | '.join(MEASURES)} | {IF_CALIBRATED} |",
        "| --- |" + " --- |" * (len(MEASURES) + 1),
    ]
    for one in found:
        cells = [
            "not defined" if e.value is None else f"{e.value:.4f} ({e.low:.4f} to {e.high:.4f})"
            for e in one.estimates.values()
        ]
        chance = one.if_calibrated
        cells.append("" if chance is None else f"{chance[0]:.4f} ({chance[1]:.4f} to {chance[2]:.4f})")
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
        if one.if_calibrated:
            counted = one.estimates["ECE"]
            writer.writerow(
                [one.part, one.stage, IF_CALIBRATED, *one.if_calibrated, counted.images, counted.subjects]
            )
    return buffer.getvalue()
