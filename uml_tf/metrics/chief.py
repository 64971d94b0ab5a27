"""The chief metrics: those that a summary shows first, and those that decide a promotion."""

from __future__ import annotations

from uml_tf.metrics.metric import KINDS, METRICS, Metric, ScoredMetric
from uml_tf.metrics.scores import CHIEF_SCORE, reported_name


def chief_name(name: str, metric: Metric) -> str:
    """The reported name of a metric where one value stands for it: of several scores that of the confidence.

    Args:
        name: under which the metric is registered.
        metric: of that name.
    """
    return reported_name(name, CHIEF_SCORE) if isinstance(metric, ScoredMetric) else name


def decisive_margins() -> dict[str, float]:
    """Reported name of each metric that is decisive for promotion -> its non-inferiority margin."""
    ordered = sorted(METRICS.items())
    return {chief_name(name, m): m.margin for name, m in ordered if m.margin is not None}


def headlines() -> dict[str, Metric]:
    """The metrics that ``uml-tf registry list`` shows, by reported name: those of the class first.

    A metric of regions has its registered name, without that of a region.
    """
    ordered = sorted(METRICS.items(), key=lambda item: (KINDS.index(type(item[1])), item[0]))
    return {chief_name(name, metric): metric for name, metric in ordered if metric.headline}
