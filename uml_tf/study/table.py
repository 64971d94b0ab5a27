"""The results of a study as Markdown, CSV and figure."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from uml_tf.figures.intervals import Interval, IntervalGroup, IntervalRow, interval_figure
from uml_tf.metrics.bootstrap import Estimate
from uml_tf.metrics.metric import metric_of
from uml_tf.study.results import ArmMetric

_COLUMNS = (
    "metric",
    "better",
    "arm",
    "seeds",
    "mean",
    "deviation",
    "low",
    "high",
    "images",
    "subjects",
    "difference",
    "difference_low",
    "difference_high",
    "difference_images",
    "verdict",
    "gigaflop",
)


def _better(name: str) -> str:
    metric = metric_of(name)
    return metric.better if metric is not None else ""


def _number(value: float | None, form: str = ".3f") -> str:
    return "" if value is None else f"{value:{form}}"


def _interval(estimate: Estimate, form: str = ".3f") -> str:
    if estimate.low is None or estimate.high is None:
        return ""
    return f"{estimate.low:{form}} to {estimate.high:{form}}"


def _markdown_cells(row: ArmMetric) -> list[str]:
    if row.mean.value is None:
        return ["not defined", "", "", "", "", ""]
    cells = [_number(row.mean.value), _number(row.deviation), _interval(row.mean)]
    if row.difference is None:
        return [*cells, "", "", ""]
    change = row.difference.change
    return [*cells, _number(change.value, "+.3f"), _interval(change, "+.3f"), row.verdict]


def results_markdown(rows: Sequence[ArmMetric]) -> str:
    """A Markdown table, a line for each metric and arm.

    Args:
        rows: from ``study_results``, at least one.
    """
    first = rows[0].arm
    headers = [
        "metric",
        "better",
        "arm",
        "mean",
        "deviation over seeds",
        "95 % interval",
        f"difference to {first}",
        "95 % interval",
        "the arm is",
    ]
    lines = ["| " + " | ".join(headers) + " |", "| --- |" + " --- |" * (len(headers) - 1)]
    for row in rows:
        cells = [row.metric, _better(row.metric), row.arm, *_markdown_cells(row)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def results_csv(rows: Sequence[ArmMetric], gigaflop: Mapping[str, float]) -> str:
    """The same as CSV with a number in each cell, and the number of images and subjects behind it.

    Args:
        rows: from ``study_results``.
        gigaflop: arm -> 10^9 operations of an answer; those that are not known may lack.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for row in rows:
        mean, change = row.mean, row.difference.change if row.difference is not None else None
        values = [row.metric, _better(row.metric), row.arm, len(row.by_seed), mean.value, row.deviation]
        values += [mean.low, mean.high, mean.images, mean.subjects]
        if row.difference is not None and change is not None:
            values += [change.value, change.low, change.high, change.images, row.verdict]
        blank = [None] * (len(_COLUMNS) - len(values) - 1)
        writer.writerow([*values, *blank, gigaflop.get(row.arm)])
    return buffer.getvalue()


def drawn(estimate: Estimate | None) -> Interval | None:
    """Value and interval as a figure draws them; None where one is undefined."""
    if estimate is None or estimate.value is None or estimate.low is None or estimate.high is None:
        return None
    return estimate.value, estimate.low, estimate.high


def metric_title(metric: str) -> str:
    """A metric's name, with the direction that is better."""
    return f"{metric} ({_better(metric)} is better)"


def results_figure(rows: Sequence[ArmMetric]) -> Figure:
    """Dots with intervals: for each metric the arms, and their differences to the first.

    Args:
        rows: from ``study_results``, at least one.
    """
    panels = []
    for metric in dict.fromkeys(row.metric for row in rows):
        groups = [
            IntervalGroup(
                row.arm,
                drawn(row.mean),
                [value for value in row.by_seed if not math.isnan(value)],
                drawn(row.difference.change if row.difference is not None else None),
            )
            for row in rows
            if row.metric == metric
        ]
        panels.append(IntervalRow(metric_title(metric), groups))
    return interval_figure(panels, rows[0].arm)
