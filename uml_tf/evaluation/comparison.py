"""Two models on the same images: what differs by more than the images' choice explains."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uml_tf.data.dataset import PreparedDataset
from uml_tf.evaluation.evaluate import read_chunks
from uml_tf.evaluation.measure import ImageMeasure
from uml_tf.evaluation.summary import SELECTIVE, class_arrays
from uml_tf.metrics.bootstrap import Estimate, bootstrap
from uml_tf.metrics.classification import METRICS
from uml_tf.runtime.predictor import Predictor, predict_all

DECISIVE = ("balanced_accuracy", "class_failure_auroc", "mean_dice")
"""What a challenger may not be worse in: which class, how far to trust it, which pixels."""

_LOWER_IS_BETTER = {"brier", "nll", "ece", "class_aurc", "class_excess_aurc"}


@dataclass(frozen=True)
class Difference:
    """A metric of two models on the same images.

    Attributes:
        metric: its name.
        first, second: the models' values; None where undefined.
        change: second - first, with the 95 % interval of a bootstrap over the images they share.
    """

    metric: str
    first: float | None
    second: float | None
    change: Estimate

    @property
    def verdict(self) -> str:
        """Of the second model: "better" or "worse" where the whole interval says so, else "equal"."""
        if self.change.low is None or self.change.high is None or self.change.low <= 0 <= self.change.high:
            return "equal"
        return "better" if (self.change.low > 0) != (self.metric in _LOWER_IS_BETTER) else "worse"


def measure_both(
    sources: tuple[Predictor, Predictor],
    dataset: PreparedDataset,
    split: str,
    progress: Callable[[int], None] = lambda done: None,
) -> tuple[list[ImageMeasure], list[ImageMeasure]]:
    """Measures two models on a split, each image read once."""
    measures: tuple[list[ImageMeasure], list[ImageMeasure]] = ([], [])
    for chunk in read_chunks(dataset, split):
        for kept, source in zip(measures, sources, strict=True):
            kept += chunk.measure(predict_all(source, chunk.resized(source.image_size)), dataset)
        progress(len(measures[0]))
    return measures


def _difference(
    metric: str, images: int, first: Callable[[Any], float], second: Callable[[Any], float]
) -> Difference:
    change = bootstrap(lambda index: second(index) - first(index), images)
    whole = np.arange(images)
    values = [None if change.value is None else one(whole) for one in (first, second)]
    return Difference(metric, values[0], values[1], change)


def _class_differences(pair: Sequence[Sequence[ImageMeasure]]) -> list[Difference]:
    arrays = [class_arrays(measures) for measures in pair]
    labels = arrays[0][0]

    def classified(metric: Callable[..., float], which: int) -> Callable[[Any], float]:
        return lambda index: metric(labels[index], arrays[which][1][index])

    def selected(metric: Callable[..., float], which: int) -> Callable[[Any], float]:
        _, probability, doubt = arrays[which]
        correct = probability.argmax(axis=1) == labels
        return lambda index: metric(doubt[index], correct[index])

    tables = ((METRICS, classified), (SELECTIVE, selected))
    return [
        _difference(name, len(labels), of(metric, 0), of(metric, 1))
        for table, of in tables
        for name, metric in table.items()
    ]


def _dice_of(measures: Sequence[ImageMeasure]) -> dict[str, NDArray[Any]]:
    """Region -> Dice of every masked image, nan where undefined; "mean": over the regions."""
    masked = [m for m in measures if m.regions]
    regions = masked[0].regions if masked else {}
    dice = {f"dice_{r}": np.array([m.regions[r]["dice"] for m in masked]) for r in regions}
    if dice:
        table = np.array(list(dice.values()))
        known = ~np.isnan(table)
        total = np.where(known, table, 0).sum(axis=0)
        dice["mean_dice"] = np.where(known.any(axis=0), total / np.maximum(known.sum(axis=0), 1), np.nan)
    return dice


def _dice_differences(pair: Sequence[Sequence[ImageMeasure]]) -> list[Difference]:
    differences = []
    tables = [_dice_of(measures) for measures in pair]
    for name in tables[0]:
        both = np.stack([table[name] for table in tables])
        both = both[:, ~np.isnan(both).any(axis=0)]

        def mean(which: int, both: NDArray[Any] = both) -> Callable[[Any], float]:
            return lambda index: float(both[which][index].mean())

        differences.append(_difference(name, both.shape[1], mean(0), mean(1)))
    return differences


def differences(first: Sequence[ImageMeasure], second: Sequence[ImageMeasure]) -> list[Difference]:
    """Every metric of two models that were measured on the same images, in the same order."""
    return [*_class_differences((first, second)), *_dice_differences((first, second))]


def reasons_against(found: Sequence[Difference]) -> list[str]:
    """Why the second model should not replace the first: a line for each ``DECISIVE`` metric it loses in."""
    return [
        f"{d.metric}: found {d.second:.4f}, expected at least {d.first:.4f} within the images' chance: "
        f"change {d.change.value:+.4f}, 95 % interval {d.change.low:+.4f} to {d.change.high:+.4f}"
        for d in found
        if d.metric in DECISIVE and d.verdict == "worse"
    ]


def as_markdown(found: Sequence[Difference], names: tuple[str, str]) -> str:
    """A table: metric, both values, the change with its interval, the verdict on the second model."""
    lines = [
        f"| metric | {names[0]} | {names[1]} | change | 95 % interval | {names[1]} is |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for d in found:
        if d.change.value is None:
            lines.append(f"| {d.metric} | not defined here | | | | |")
            continue
        numbers = (f"{d.first:.4f}", f"{d.second:.4f}", f"{d.change.value:+.4f}")
        interval = f"{d.change.low:+.4f} to {d.change.high:+.4f}"
        lines.append(f"| {d.metric} | {' | '.join(numbers)} | {interval} | {d.verdict} |")
    return "\n".join(lines) + "\n"
