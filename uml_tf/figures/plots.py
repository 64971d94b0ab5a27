"""The plots of a training and of an evaluation, as Matplotlib figures of plain arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from uml_tf.metrics.calibration import BINS
from uml_tf.metrics.selective import perfect_risk, risk_coverage

_NARROWEST = 0.02
"""Least width of an axis of confidences: below it ticks would be too long to read."""


def _marker(values: Sequence[float]) -> str:
    """A line of one epoch would not be seen."""
    return "o" if len(values) == 1 else ""


def training_curves(
    losses: Mapping[str, Sequence[float]], scores: Mapping[str, Sequence[float]], kept_epoch: int
) -> Figure:
    """Loss terms and validation scores by epoch.

    Args:
        losses: loss term -> mean of every epoch; "total" is drawn thicker.
        scores: name -> validation score of every epoch, in [0, 1].
        kept_epoch: number from 1 of the epoch whose weights were kept.
    """
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for term, values in losses.items():
        wide = 2 if term == "total" else 1
        left.plot(range(1, len(values) + 1), values, label=term, lw=wide, marker=_marker(values))
    left.set(xlabel="epoch", ylabel="training loss", yscale="log")
    for name, values in scores.items():
        right.plot(range(1, len(values) + 1), values, label=name, marker=_marker(values))
    right.axvline(kept_epoch, color="grey", ls=":", label="kept epoch")
    right.set(xlabel="epoch", ylabel="validation", ylim=(0, 1))
    for axes in (left, right):
        axes.legend(fontsize=8)
        axes.grid(alpha=0.3)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    return figure


def confusion_matrix(labels: NDArray[Any], predicted: NDArray[Any], classes: Sequence[str]) -> Figure:
    """Images by true and predicted class.

    Args:
        labels: ``(N,)`` true class indices.
        predicted: ``(N,)`` class indices.
        classes: names, in index order.
    """
    counts = np.zeros((len(classes), len(classes)), int)
    np.add.at(counts, (labels, predicted), 1)
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
    axes.bar((np.flatnonzero(used) + 0.5) / BINS, correct, width=0.9 / BINS, alpha=0.5, label="share correct")
    axes.plot(confidence, correct, "o-", ms=4, label="by mean confidence")
    axes.set(xlabel="confidence", ylabel="share correct", xlim=(0, 1), ylim=(0, 1), title=title)
    axes.legend(fontsize=8, loc="upper left")


def reliability_diagram(histograms: Mapping[str, NDArray[Any]]) -> Figure:
    """Confidence against the share of correct predictions.

    Args:
        histograms: panel title -> ``(BINS, 3)`` of ``uml_tf.metrics.calibration.calibration_histogram``; at
            least one.
    """
    figure = Figure(figsize=(4.5 * len(histograms), 4.2), layout="constrained")
    panels = figure.subplots(1, len(histograms), squeeze=False)[0]
    for axes, (title, histogram) in zip(panels, histograms.items(), strict=True):
        _draw_reliability(axes, histogram, title)
    return figure


_LANES = {"accept": "tab:blue", "refer": "tab:orange", "ungradable": "tab:grey"}


def decided_images(
    confidence: NDArray[Any], correct: NDArray[Any], decisions: Sequence[str], seed: int = 0
) -> Figure:
    """A dot for each image by its confidence, the right and the wrong ones apart, coloured by the decision.

    Args:
        confidence: ``(N,)`` in [0, 1].
        correct: ``(N,)`` bool: whether the class is correct.
        decisions: of the images, "accept", "refer" or "ungradable".
        seed: of the heights of the dots in their lane, which mean nothing.
    """
    figure = Figure(figsize=(7, 2.6), layout="constrained")
    axes = figure.subplots()
    decided = np.array(decisions, object)
    spread = np.random.default_rng(seed).uniform(-0.35, 0.35, len(decided))
    for decision, colour in _LANES.items():
        taken = decided == decision
        if taken.any():
            heights = correct[taken] + spread[taken]
            label = f"{decision}: {np.count_nonzero(taken)}"
            axes.scatter(confidence[taken], heights, 14, colour, alpha=0.7, lw=0, label=label)
    kept = [f"{np.count_nonzero(correct[decided == 'accept'] == right)}" for right in (True, False)]
    counts = [np.count_nonzero(correct), np.count_nonzero(~correct)]
    lanes = zip(("right", "wrong"), kept, counts, strict=True)
    axes.set_yticks([1, 0], [f"{name}: {count}\n{accepted} accepted" for name, accepted, count in lanes])
    axes.set(xlabel="class confidence", ylim=(-0.5, 1.5))
    axes.axhline(0.5, color="grey", lw=0.5)
    low, high = axes.get_xlim()
    beyond = max(_NARROWEST - (high - low), 0) / 2
    axes.set_xlim(low - beyond, high + beyond)
    axes.legend(fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=len(_LANES), frameon=False)
    return figure


def risk_coverage_curve(
    scores: Mapping[str, NDArray[Any]],
    correct: NDArray[Any],
    decided: tuple[float, float, tuple[float, float]] | None = None,
) -> Figure:
    """Selective risk by coverage for some scores, beside a perfect and a random order of the same images.

    Args:
        scores: name -> ``(N,)``, larger for more doubt; the images are ordered by it.
        correct: ``(N,)`` bool: whether the class is correct.
        decided: coverage, risk and the interval of that risk where the model's own thresholds decide, marked;
            None for no mark. Ungradable images are not accepted either, so it need not lie on a curve.
    """
    figure = Figure(figsize=(5, 4), layout="constrained")
    axes = figure.subplots()
    for name, score in scores.items():
        coverage, risk = risk_coverage(score, correct)
        axes.plot(coverage, risk, label=f"by {name}")
    axes.plot(coverage, perfect_risk(correct), ls="--", label="perfect order")
    axes.axhline(float((~correct).mean()), color="grey", ls=":", label="random order")
    if decided is not None:
        accepted, reached, (low, high) = decided
        axes.axvline(accepted, color="tab:red", ls="-.", lw=0.8)
        axes.errorbar(
            accepted,
            reached,
            [[reached - low], [high - reached]],
            fmt="o",
            color="tab:red",
            capsize=3,
            label="accepted by the model's thresholds",
        )
    axes.set(xlabel="coverage (share of images accepted)", ylabel="selective risk", xlim=(0, 1))
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)
    return figure
