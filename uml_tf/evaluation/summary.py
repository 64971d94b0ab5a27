"""From the measures of a split's images to its metrics, each with a bootstrap 95 % interval."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from uml_tf.evaluation.measure import ImageMeasure
from uml_tf.evaluation.statistics import Statistic, statistics
from uml_tf.metrics.bootstrap import Estimate, bootstrap
from uml_tf.metrics.metric import SelectiveMetric, metric_of, metrics_of_kind
from uml_tf.metrics.scores import SCORES, reported_name

Metrics = dict[str, Estimate]


def estimates(found: Sequence[Statistic], measures: Sequence[ImageMeasure]) -> Metrics:
    """Value and interval of statistics over these measures; the images of a subject are resampled together.

    Statistics of the same images share their resamples.
    """
    metrics: Metrics = {name: Estimate(None, None, None, 0, 0, 0) for one in found for name in one.names}
    for images in dict.fromkeys(one.images for one in found):
        if images:
            subjects = [measures[place].resampled_with for place in images]
            metrics |= _estimates([one for one in found if one.images == images], subjects)
    return metrics


def _estimates(same: Sequence[Statistic], subjects: Sequence[Hashable]) -> Metrics:
    """Estimates of statistics of the same images, whose subjects are given."""
    names = [name for one in same for name in one.names]
    together = bootstrap(lambda index: [v for one in same for v in one.values(index)], subjects)
    return dict(zip(names, together, strict=True))


def summarise(measures: Sequence[ImageMeasure]) -> Metrics:
    """All metrics of a split by name, an interval for each."""
    return estimates(statistics(measures), measures)


def as_json(metrics: Metrics) -> dict[str, dict[str, float | int | None]]:
    """What ``metrics.json`` holds: flat, name -> {value, low, high, images, subjects}."""
    keys = ("value", "low", "high", "images", "subjects")
    return {name: {key: getattr(estimate, key) for key in keys} for name, estimate in metrics.items()}


def _interval(estimate: Estimate) -> str:
    return f"{estimate.low:.4f} to {estimate.high:.4f}"


def _scores_table(metrics: Metrics) -> list[str]:
    """How well each score of doubt ranks the wrong classes: a row a score, a column a metric."""
    columns = metrics_of_kind(SelectiveMetric)
    headers = [f"{name} ({metric.better} is better)" for name, metric in columns.items()]
    lines = ["| score | " + " | ".join(headers) + " |", "| --- |" + " --- |" * len(headers)]
    for score in SCORES:
        cells = []
        for name in columns:
            estimate = metrics[reported_name(name, score)]
            undefined = estimate.value is None
            cells.append("not defined" if undefined else f"{estimate.value:.4f} ({_interval(estimate)})")
        lines.append(f"| {score} | " + " | ".join(cells) + " |")
    return lines


def as_markdown(metrics: Metrics) -> str:
    """Two Markdown tables: every metric with its interval, and the scores of doubt side by side."""
    rivals = {reported_name(name, score) for name in metrics_of_kind(SelectiveMetric) for score in SCORES}
    rivals -= set(metrics_of_kind(SelectiveMetric))
    lines = ["| metric | value | 95 % interval | better | images | subjects |", "| --- |" + " --- |" * 5]
    for name, estimate in metrics.items():
        metric = metric_of(name)
        if name in rivals or metric is None:
            continue
        undefined = estimate.value is None
        numbers = "not defined | " if undefined else f"{estimate.value:.4f} | {_interval(estimate)}"
        lines.append(f"| {name} | {numbers} | {metric.better} | {estimate.images} | {estimate.subjects} |")
    return "\n".join([*lines, "", *_scores_table(metrics)]) + "\n"
