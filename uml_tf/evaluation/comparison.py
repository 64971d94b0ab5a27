"""Two models on the same images: the change of every metric, with a paired bootstrap interval."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uml_tf.data.dataset import PreparedDataset
from uml_tf.evaluation.evaluate import read_chunks
from uml_tf.evaluation.measure import ImageMeasure
from uml_tf.evaluation.repeats import commonly_defined, mean_statistics
from uml_tf.evaluation.statistics import Statistic
from uml_tf.evaluation.summary import estimates
from uml_tf.metrics.bootstrap import Estimate
from uml_tf.metrics.metric import decisive_margins, metric_of
from uml_tf.runtime.predictor import Predictor, predict_all


@dataclass(frozen=True)
class Difference:
    """A metric of two models on the same images.

    Attributes:
        metric: its name.
        first, second: the models' values; None where undefined for either.
        change: second - first, with the 95 % interval of a paired bootstrap over the subjects.
    """

    metric: str
    first: float | None
    second: float | None
    change: Estimate

    @property
    def gain(self) -> tuple[float, float] | None:
        """The interval of the change, turned so that positive is better; None where it is undefined."""
        metric = metric_of(self.metric)
        if metric is None or self.change.low is None or self.change.high is None:
            return None
        low, high = sorted((metric.sign * self.change.low, metric.sign * self.change.high))
        return low, high

    @property
    def verdict(self) -> str:
        """The second model is "better" or "worse" where the whole interval says so, else "not different"."""
        low, high = self.gain or (0.0, 0.0)
        if low <= 0 <= high:
            return "not different"
        return "better" if low > 0 else "worse"


def measure_both(
    predictors: tuple[Predictor, Predictor],
    dataset: PreparedDataset,
    split: str,
    progress: Callable[[int], None] = lambda done: None,
) -> tuple[list[ImageMeasure], list[ImageMeasure]]:
    """Measures two models on a split; each image is read once.

    Args:
        predictors: the models, in any form.
        dataset: a data set with the models' classes.
        split: "train", "val" or "test".
        progress: called with the number of images done.
    """
    measures: tuple[list[ImageMeasure], list[ImageMeasure]] = ([], [])
    for chunk in read_chunks(dataset, split):
        for kept, predictor in zip(measures, predictors, strict=True):
            kept += chunk.measure(predict_all(predictor, chunk.resized(predictor.image_size)), dataset)
        progress(len(measures[0]))
    return measures


def _paired(first: Statistic, second: Statistic) -> Statistic:
    """Statistics of both models and of the change, in this order."""

    def values(index: NDArray[np.intp]) -> list[float]:
        both = np.array([first.values(index), second.values(index)])
        return [*both[0], *both[1], *(both[1] - both[0])]

    names = tuple(f"{part} {name}" for part in ("first", "second", "change") for name in first.names)
    return Statistic(names, first.images, values)


def differences(first: Sequence[ImageMeasure], second: Sequence[ImageMeasure]) -> list[Difference]:
    """Every metric of two models that were measured on the same images, in the same order.

    A value of an image that is undefined for one model (e.g. the cup-to-disc error where it found no disc)
    is left out for both.

    Returns:
        The differences, those of the decisive metrics first.
    """
    return differences_of_means([first], [second])


def differences_of_means(
    first: Sequence[Sequence[ImageMeasure]],
    second: Sequence[Sequence[ImageMeasure]],
    names: Collection[str] | None = None,
) -> list[Difference]:
    """``differences`` of two ways to train, each measured several times: of the means over the repeats.

    Args:
        first: for every repeat (seed) the measures of the images.
        second: the same of the other; the same images in the same order, the number of repeats may differ.
        names: the reported metrics that are wanted; None for all.
    """
    common = commonly_defined([*first, *second])
    means = (mean_statistics(part, names) for part in (common[: len(first)], common[len(first) :]))
    found = estimates([_paired(*pair) for pair in zip(*means, strict=True)], first[0])
    reported = [name.removeprefix("change ") for name in found if name.startswith("change ")]
    decisive = decisive_margins()
    return [
        Difference(name, *_defined(found, name), found[f"change {name}"])
        for name in sorted(reported, key=lambda name: name not in decisive)
    ]


def _defined(found: Mapping[str, Estimate], name: str) -> tuple[float | None, float | None]:
    if found[f"change {name}"].value is None:
        return None, None
    return found[f"first {name}"].value, found[f"second {name}"].value


def as_markdown(found: Sequence[Difference], names: tuple[str, str]) -> str:
    """A Markdown table: metric, both values, the change with its interval, verdict on the second model."""
    lines = [
        f"| metric | {names[0]} | {names[1]} | change | 95 % interval | {names[1]} is |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for d in found:
        if d.change.value is None:
            lines.append(f"| {d.metric} | not defined | | | | |")
            continue
        numbers = (f"{d.first:.4f}", f"{d.second:.4f}", f"{d.change.value:+.4f}")
        interval = f"{d.change.low:+.4f} to {d.change.high:+.4f}"
        lines.append(f"| {d.metric} | {' | '.join(numbers)} | {interval} | {d.verdict} |")
    return "\n".join(lines) + "\n"
