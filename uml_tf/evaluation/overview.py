"""Several data sets, and the sources of each, in one table: a row for each, the chief metrics as columns."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from uml_tf.evaluation.evaluate import Evaluation
from uml_tf.evaluation.measure import ImageMeasure
from uml_tf.evaluation.sources import mean_foreground, measures_by_source
from uml_tf.evaluation.summary import Metrics
from uml_tf.metrics.bootstrap import Estimate

_COLUMNS = ("dataset", "source", "metric", "value", "low", "high", "images", "subjects")


@dataclass(frozen=True)
class OverviewRow:
    """A data set, or one source of it.

    Attributes:
        dataset: its name.
        source: name of the source; "" for the whole data set.
        measures: of its images.
        metrics: of these images.
    """

    dataset: str
    source: str
    measures: Sequence[ImageMeasure]
    metrics: Metrics


def overview_rows(evaluations: Mapping[str, Evaluation]) -> list[OverviewRow]:
    """A row for each data set, each followed by a row for each of its sources if it has several.

    Args:
        evaluations: name of a data set -> its evaluation.
    """
    rows = []
    for name, found in evaluations.items():
        rows.append(OverviewRow(name, "", found.measures, found.metrics))
        images = measures_by_source(found.measures)
        rows += [OverviewRow(name, s, images[s], metrics) for s, metrics in found.sources.items()]
    return rows


def measures_by_name(evaluations: Mapping[str, Evaluation]) -> dict[str, Sequence[ImageMeasure]]:
    """Data set, or each source of one that has several ("data set, source") -> the measures of its images."""
    found: dict[str, Sequence[ImageMeasure]] = {}
    for name, evaluation in evaluations.items():
        sources = measures_by_source(evaluation.measures)
        found |= {f"{name}, {source}": images for source, images in sources.items()}
        if not sources:
            found[name] = evaluation.measures
    return found


def _cell(estimate: Estimate | None) -> str:
    if estimate is None or estimate.value is None:
        return "not defined"
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"


def overview_markdown(rows: Sequence[OverviewRow], metrics: Sequence[str]) -> str:
    """A Markdown table of values with 95 % intervals.

    "foreground" is the mean predicted share of the picture, which can be told without masks too.

    Args:
        rows: the data sets and sources.
        metrics: reported names, the columns.
    """
    headers = ["data set", "source", "images", "with a mask", "foreground", *metrics]
    lines = ["| " + " | ".join(headers) + " |", "| --- |" + " --- |" * (len(headers) - 1)]
    for row in rows:
        masks = sum(m.masked for m in row.measures)
        start = [row.dataset, row.source or "all", str(len(row.measures)), str(masks)]
        start.append(f"{mean_foreground(row.measures):.3f}")
        cells = [_cell(row.metrics.get(name)) for name in metrics]
        lines.append("| " + " | ".join([*start, *cells]) + " |")
    return "\n".join(lines) + "\n"


def overview_csv(rows: Sequence[OverviewRow]) -> str:
    """Every metric of every row as CSV, one line each; empty where it is undefined."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for row in rows:
        for name, e in row.metrics.items():
            writer.writerow([row.dataset, row.source, name, e.value, e.low, e.high, e.images, e.subjects])
    return buffer.getvalue()
