"""From the measures of a split's images to its metrics, each with a bootstrap 95 % interval."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence

import numpy as np

from uml_tf.evaluation.measure import ImageMeasure
from uml_tf.evaluation.statistic import Statistic
from uml_tf.evaluation.statistics import decided, statistics
from uml_tf.metrics.bootstrap import Estimate, bootstrap
from uml_tf.metrics.chief import chief_name
from uml_tf.metrics.decisions import exact_interval
from uml_tf.metrics.metric import KINDS, METRICS, DecisionMetric, metric_of, metrics_of_kind
from uml_tf.metrics.metric_base import ScoredMetric
from uml_tf.metrics.scores import reported_name

Metrics = dict[str, Estimate]

DISTANCES = ("assd_", "hd95_")
"""What the names of distances begin with."""


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
    together = bootstrap(lambda draws: np.concatenate([one.values(draws) for one in same], axis=1), subjects)
    return dict(zip(names, together, strict=True))


def _decision_estimates(found: Sequence[Statistic], measures: Sequence[ImageMeasure]) -> Metrics:
    """Shares of decisions with their exact binomial interval, which is not empty where nothing is counted."""
    metrics = metrics_of_kind(DecisionMetric)
    estimated = {}
    for one in found:
        (name,) = one.names if len(one.names) == 1 else ("",)
        if name in metrics:
            images = [measures[place] for place in one.images]
            part, whole = decided(metrics[name], images)
            count, total = int(np.count_nonzero(part)), int(np.count_nonzero(whole))
            subjects = len({m.resampled_with for m, counts in zip(images, whole, strict=True) if counts})
            if total:
                low, high = exact_interval(count, total)
                estimated[name] = Estimate(count / total, low, high, total, subjects, 0)
    return estimated


def estimates_of(measures: Sequence[ImageMeasure], names: Collection[str]) -> Metrics:
    """Some metrics of some images, each with its interval as in ``summarise``.

    Args:
        measures: of the images.
        names: the reported metrics that are wanted; those that do not apply to the images are left out.
    """
    found = statistics(measures, names)
    return estimates(found, measures) | _decision_estimates(found, measures)


def summarise(measures: Sequence[ImageMeasure]) -> Metrics:
    """All metrics of a split by name, each with its interval: by bootstrap; of decisions the exact one."""
    found = statistics(measures)
    return estimates(found, measures) | _decision_estimates(found, measures)


def as_json(metrics: Metrics) -> dict[str, dict[str, float | int | None]]:
    """What ``metrics.json`` holds: flat, name -> {value, low, high, images, subjects}."""
    keys = ("value", "low", "high", "images", "subjects")
    return {name: {key: getattr(estimate, key) for key in keys} for name, estimate in metrics.items()}


def _interval(estimate: Estimate) -> str:
    return f"{estimate.low:.4f} to {estimate.high:.4f}"


def _scores_table(metrics: Metrics, kind: type[ScoredMetric]) -> list[str]:
    """A row a score of doubt, a column a metric of this kind; nothing where none was measured."""
    columns = metrics_of_kind(kind)
    headers = [f"{name} ({metric.better} is better)" for name, metric in columns.items()]
    lines = ["", f"| {kind.kind} | " + " | ".join(headers) + " |", "| --- |" + " --- |" * len(headers)]
    for score in kind.scores:
        found = [metrics.get(reported_name(name, score)) for name in columns]
        if any(estimate is not None for estimate in found):
            cells = [
                "not defined" if e is None or e.value is None else f"{e.value:.4f} ({_interval(e)})"
                for e in found
            ]
            lines.append(f"| {score} | " + " | ".join(cells) + " |")
    return lines if len(lines) > 3 else []


def as_markdown(metrics: Metrics, unit: str = "") -> str:
    """Markdown tables: every metric with its interval; all scores of doubt of class, masks and pixels.

    A metric of scores of doubt stands in the first table for the confidence alone.

    Args:
        metrics: name -> estimate.
        unit: of distances; "" says nothing of it.
    """
    kinds = [kind for kind in KINDS if issubclass(kind, ScoredMetric)]
    chief = {chief_name(name, metric) for name, metric in METRICS.items()}
    lines = ["| metric | value | 95 % interval | better | images | subjects |", "| --- |" + " --- |" * 5]
    for name, estimate in metrics.items():
        metric = metric_of(name)
        if metric is None or (isinstance(metric, ScoredMetric) and name not in chief):
            continue
        undefined = estimate.value is None
        numbers = "not defined | " if undefined else f"{estimate.value:.4f} | {_interval(estimate)}"
        lines.append(f"| {name} | {numbers} | {metric.better} | {estimate.images} | {estimate.subjects} |")
    if unit and any(name.startswith(DISTANCES) for name in metrics):
        lines += ["", f"Distances ({', '.join(name.rstrip('_') for name in DISTANCES)}) are in {unit}."]
    for kind in kinds:
        lines += _scores_table(metrics, kind)
    return "\n".join(lines) + "\n"
