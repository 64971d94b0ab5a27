"""From the measures of a split's images to its metrics, each with a bootstrap 95 % interval."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uml_tf.evaluation.measure import REGION_METRICS, ImageMeasure
from uml_tf.metrics import classification, uncertainty
from uml_tf.metrics.bootstrap import Estimate, bootstrap, bootstrap_mean, bootstrap_sum
from uml_tf.metrics.calibration import calibration_error_of_histogram

Metrics = dict[str, Estimate]

SELECTIVE = {
    "class_failure_auroc": uncertainty.failure_detection_auroc,
    "class_aurc": uncertainty.aurc,
    "class_excess_aurc": uncertainty.excess_aurc,
}


def class_arrays(measures: Sequence[ImageMeasure]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Labels ``(N,)``, probability ``(N, K)`` and uncertainty ``(N,)`` of the labelled images."""
    labelled = [m for m in measures if m.label >= 0]
    classes = len(measures[0].probability) if measures else 0
    return (
        np.array([m.label for m in labelled], int),
        np.array([m.probability for m in labelled]).reshape(-1, classes),
        np.array([m.class_uncertainty for m in labelled]),
    )


def _class_metrics(measures: Sequence[ImageMeasure]) -> Metrics:
    labels, probability, doubt = class_arrays(measures)
    correct = probability.argmax(axis=1) == labels

    def over_images(metric: Callable[..., float], *arrays: NDArray[Any]) -> Estimate:
        return bootstrap(lambda index: metric(*(array[index] for array in arrays)), len(labels))

    metrics = {n: over_images(metric, labels, probability) for n, metric in classification.METRICS.items()}
    return metrics | {n: over_images(metric, doubt, correct) for n, metric in SELECTIVE.items()}


def best_overlap_threshold(measures: Sequence[ImageMeasure]) -> float:
    """The pixel uncertainty above which the pooled uncertainty-error overlap is largest."""
    pooled = np.sum([m.overlap for m in measures if m.overlap is not None], axis=0)
    overlap = np.nan_to_num(uncertainty.overlap_of_counts(pooled))
    return float(uncertainty.OVERLAP_THRESHOLDS[int(np.argmax(overlap))])


def _mask_metrics(measures: Sequence[ImageMeasure]) -> Metrics:
    masked = [m for m in measures if m.calibration is not None]
    if not masked:
        return {}
    metrics = {
        f"{metric}_{region}": bootstrap_mean(np.array([m.regions[region][metric] for m in masked]))
        for region in masked[0].regions
        for metric in REGION_METRICS
    }
    calibration = np.stack([m.calibration for m in masked])  # type: ignore[misc]
    metrics["mask_ece"] = bootstrap_sum(calibration, calibration_error_of_histogram)
    threshold = best_overlap_threshold(masked)
    place = int(np.searchsorted(uncertainty.OVERLAP_THRESHOLDS, threshold))
    counts = np.stack([m.overlap[place] for m in masked])  # type: ignore[index]
    metrics["mask_uncertainty_error_overlap"] = bootstrap_sum(counts, uncertainty.overlap_of_counts)
    errors = [abs(m.cup_to_disc[0] - m.cup_to_disc[1]) for m in masked if m.cup_to_disc]
    if errors:
        metrics["cup_to_disc_error"] = bootstrap_mean(np.array(errors))
    return metrics


def summarise(measures: Sequence[ImageMeasure]) -> Metrics:
    """All metrics of a split by name; class metrics over its labelled images, mask metrics over its
    masked ones, an interval for each.
    """
    return _class_metrics(measures) | _mask_metrics(measures)


def as_json(metrics: Metrics) -> dict[str, dict[str, float | None]]:
    """What ``metrics.json`` holds: flat, name -> {value, low, high}."""
    return {name: vars(estimate) for name, estimate in metrics.items()}


def as_markdown(metrics: Metrics) -> str:
    """A Markdown table: metric, value, 95 % interval."""
    lines = ["| metric | value | 95 % interval |", "| --- | --- | --- |"]
    for name, e in metrics.items():
        if e.value is None:
            lines.append(f"| {name} | not defined here | |")
        else:
            lines.append(f"| {name} | {e.value:.4f} | {e.low:.4f} to {e.high:.4f} |")
    return "\n".join(lines) + "\n"
