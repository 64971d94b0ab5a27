"""The plots of a training and of an evaluation, as Matplotlib figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from uml_tf.evaluation.measure import ImageMeasure
from uml_tf.evaluation.summary import class_arrays
from uml_tf.metrics.calibration import BINS, calibration_histogram
from uml_tf.metrics.uncertainty import risk_coverage
from uml_tf.training.report import EpochReport


def training_curves(reports: Sequence[EpochReport], pixel_classes: Sequence[str]) -> Figure:
    """Loss terms and validation scores by epoch; the kept epoch is marked."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    epochs = [r.epoch + 1 for r in reports]
    for term in reports[0].losses:
        left.plot(epochs, [r.losses[term] for r in reports], label=term, lw=2 if term == "total" else 1)
    left.set(xlabel="epoch", ylabel="training loss", yscale="log")
    series = {"balanced accuracy": [r.validation.balanced_accuracy for r in reports]}
    for i, name in enumerate(pixel_classes[1:]):
        series[f"Dice {name}"] = [r.validation.dice[i] for r in reports]
    for name, values in series.items():
        right.plot(epochs, values, label=name)
    best = max((r for r in reports if r.is_best), key=lambda r: r.epoch)
    right.axvline(best.epoch + 1, color="grey", ls=":", label="kept epoch")
    right.set(xlabel="epoch", ylabel="validation", ylim=(0, 1))
    for axes in (left, right):
        axes.legend(fontsize=8)
        axes.grid(alpha=0.3)
    return figure


def confusion_matrix(measures: Sequence[ImageMeasure], classes: Sequence[str]) -> Figure:
    """Images by true and predicted class."""
    labels, probability, _ = class_arrays(measures)
    counts = np.zeros((len(classes), len(classes)), int)
    np.add.at(counts, (labels, probability.argmax(axis=1)), 1)
    figure = Figure(figsize=(1.6 + len(classes), 1.2 + len(classes)), layout="constrained")
    axes = figure.subplots()
    axes.imshow(counts, cmap="Blues")
    for (row, column), count in np.ndenumerate(counts):
        dark = count > counts.max() / 2
        axes.text(column, row, str(count), ha="center", va="center", color="white" if dark else "black")
    axes.set_xticks(range(len(classes)), classes, rotation=30, ha="right")
    axes.set_yticks(range(len(classes)), classes)
    axes.set(xlabel="predicted", ylabel="true")
    return figure


def _draw_reliability(axes: Any, histogram: NDArray[Any], title: str) -> None:
    count = histogram[:, 0]
    used = count > 0
    confidence, correct = (histogram[used, k] / count[used] for k in (1, 2))
    axes.plot([0, 1], [0, 1], color="grey", ls=":")
    axes.bar((np.flatnonzero(used) + 0.5) / BINS, correct, width=0.9 / BINS, alpha=0.5, label="share right")
    axes.plot(confidence, correct, "o-", ms=4, label="by mean confidence")
    axes.set(xlabel="confidence", ylabel="share right", xlim=(0, 1), ylim=(0, 1), title=title)
    axes.legend(fontsize=8, loc="upper left")


def reliability_diagram(measures: Sequence[ImageMeasure]) -> Figure:
    """Confidence against share right, for the class and for the pixels."""
    labels, probability, _ = class_arrays(measures)
    panels = []
    if len(labels):
        image = calibration_histogram(probability.max(axis=1), probability.argmax(axis=1) == labels)
        panels.append((image, f"class, {len(labels)} images"))
    masked = [m.calibration for m in measures if m.calibration is not None]
    if masked:
        panels.append((np.sum(masked, axis=0), f"pixels of {len(masked)} images"))
    figure = Figure(figsize=(4.5 * len(panels), 4.2), layout="constrained")
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        _draw_reliability(axes, *panel)
    return figure


def risk_coverage_curve(measures: Sequence[ImageMeasure], refer_above: float | None) -> Figure:
    """Selective risk by coverage, beside a perfect and a random order of the same answers."""
    labels, probability, doubt = class_arrays(measures)
    correct = probability.argmax(axis=1) == labels
    coverage, risk = risk_coverage(doubt, correct)
    perfect = risk_coverage(np.where(correct, 0.0, 1.0) + np.linspace(0, 0.1, len(correct)), correct)[1]
    figure = Figure(figsize=(5, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(coverage, risk, label="by class uncertainty")
    axes.plot(coverage, perfect, ls="--", label="perfect order")
    axes.axhline(float((~correct).mean()), color="grey", ls=":", label="random order")
    if refer_above is not None:
        accepted = float((doubt <= refer_above).mean())
        axes.axvline(accepted, color="tab:red", ls="-.", label="referral threshold")
    axes.set(xlabel="coverage (share of images answered)", ylabel="selective risk", xlim=(0, 1))
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)
    return figure
