"""Two models on the same images: the change of every metric, with a paired bootstrap interval."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from uml_tf.data.dataset import PreparedDataset
from uml_tf.evaluation.evaluate import read_chunks
from uml_tf.evaluation.measure import ImageMeasure
from uml_tf.evaluation.repeats import commonly_defined, mean_statistics
from uml_tf.evaluation.statistic import Statistic
from uml_tf.evaluation.summary import estimates
from uml_tf.metrics.bootstrap import Estimate
from uml_tf.metrics.chief import decisive_margins
from uml_tf.metrics.metric import metric_of
from uml_tf.runtime.prediction import Model
from uml_tf.runtime.predictor import predict_all


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
        """Of the second model: "better" or "worse" if the whole interval is, else "not clearly different"."""
        low, high = self.gain or (0.0, 0.0)
        if low <= 0 <= high:
            return "not clearly different"
        return "better" if low > 0 else "worse"


def measure_both(
    models: tuple[Model, Model],
    dataset: PreparedDataset,
    split: str,
    progress: Callable[[int], None] = lambda done: None,
) -> tuple[list[ImageMeasure], list[ImageMeasure]]:
    """Measures two models on a split; each image is read once.

    Args:
        models: in any form.
        dataset: a data set with the models' classes.
        split: "train", "val" or "test".
        progress: called with the number of images done.
    """
    measures: tuple[list[ImageMeasure], list[ImageMeasure]] = ([], [])
    for chunk in read_chunks(dataset, split):
        for kept, model in zip(measures, models, strict=True):
            inputs = chunk.inputs(model)
            kept += chunk.measure(predict_all(model, inputs.images), dataset, inputs.placements)
        progress(len(measures[0]))
    return measures


def _change(first: Statistic, second: Statistic) -> Statistic:
    """The change of every metric from the first model to the second."""

    def values(draws: NDArray[Any]) -> NDArray[Any]:
        return second.values(draws) - first.values(draws)

    return Statistic(first.names, first.images, values)


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
    before, after = (mean_statistics(part, names) for part in (common[: len(first)], common[len(first) :]))
    changes = estimates([_change(*pair) for pair in zip(before, after, strict=True)], first[0])
    values = [{n: v for one in side for n, v in one.of_all_images.items()} for side in (before, after)]
    decisive = decisive_margins()
    return [
        Difference(name, None, None, changes[name])
        if changes[name].value is None
        else Difference(name, values[0][name], values[1][name], changes[name])
        for name in sorted(changes, key=lambda name: name not in decisive)
    ]


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
