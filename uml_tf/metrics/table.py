"""The list of every registered metric, that ``uml-tf evaluate --list-metrics`` prints."""

from __future__ import annotations

from math import inf

from uml_tf.metrics.metric import (
    KINDS,
    IntervalMetric,
    QualityMetric,
    RegionMetric,
    metrics_of_kind,
)
from uml_tf.metrics.metric_base import Metric, ScoredMetric
from uml_tf.metrics.scores import CHIEF_SCORE, reported_name

_BEHIND: dict[type[Metric], str] = {
    RegionMetric: "_REGION",
    QualityMetric: "_REGION",
    IntervalMetric: "_MEASUREMENT",
}


def _bounds(metric: Metric) -> str:
    low, high = metric.bounds
    return f"{low:g} or more" if high == inf else f"{low:g} to {high:g}"


def _rows(kind: type[Metric]) -> list[str]:
    rows = ["| name | better | range | meaning |", "| --- | --- | --- | --- |"]
    for name, metric in metrics_of_kind(kind).items():
        shown = f"{name}{_BEHIND.get(kind, '')}"
        score = f" by the {CHIEF_SCORE}" if isinstance(metric, ScoredMetric) else ""
        decisive = "" if metric.margin is None else f"; decisive{score}, margin {metric.margin:g}"
        rows.append(f"| `{shown}` | {metric.better} | {_bounds(metric)} | {metric.description}{decisive} |")
    return rows


def _scores(kind: type[ScoredMetric]) -> list[str]:
    rows = ["| score | reported as | meaning |", "| --- | --- | --- |"]
    return rows + [
        f"| {name} | `{reported_name('NAME', name)}` | {text} |" for name, text in kind.scores.items()
    ]


def metrics_table() -> str:
    """Markdown: a heading and a table for each kind of metric, and the scores of doubt.

    ``docs/metrics.md`` holds it word for word.
    """
    parts = []
    for kind in KINDS:
        parts += [f"### {kind.kind}: {kind.inputs}", "", *_rows(kind), ""]
        if issubclass(kind, ScoredMetric):
            parts += ["Each is applied to every one of these scores of doubt:", "", *_scores(kind), ""]
    return "\n".join(parts).rstrip() + "\n"
