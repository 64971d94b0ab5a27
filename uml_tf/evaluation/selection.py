"""Which metrics a data set can be measured by, and which of them a summary shows."""

from __future__ import annotations

from difflib import get_close_matches

from uml_tf.data.dataset import DatasetInfo
from uml_tf.metrics.chief import chief_name
from uml_tf.metrics.metric import (
    KINDS,
    METRICS,
    ForeignMetric,
    IntervalMetric,
    MaskMetric,
    QualityMetric,
    RegionMetric,
)
from uml_tf.metrics.metric_base import Metric, ScoredMetric
from uml_tf.metrics.scores import reported_name
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.intervals import RATIO, area_name
from uml_tf.runtime.regions import region_members

_OF_RATIO = {"cup", "rim"}
"""The pixel classes of which the vertical cup-to-disc ratio is measured."""


def _reported(name: str, metric: Metric, info: DatasetInfo) -> list[str]:
    """The names under which a metric is reported for a data set."""
    if isinstance(metric, ForeignMetric):
        return []
    if isinstance(metric, ScoredMetric):
        return [reported_name(name, score) for score in metric.scores]
    regions = region_members(info.pixel_classes, info.unions)
    if isinstance(metric, (RegionMetric, QualityMetric)):
        return [f"{name}_{region}" for region in regions]
    if isinstance(metric, IntervalMetric):
        ratio = [RATIO] if set(info.pixel_classes) >= _OF_RATIO else []
        return [f"{name}_{measured}" for measured in (*map(area_name, regions), *ratio)]
    if isinstance(metric, MaskMetric) and not set(metric.pixel_classes) <= set(info.pixel_classes):
        return []
    return [name]


def _ordered() -> list[tuple[str, Metric]]:
    """Every registered metric, those of the class first."""
    return sorted(METRICS.items(), key=lambda item: (KINDS.index(type(item[1])), item[0]))


def reported_names(info: DatasetInfo) -> list[str]:
    """Every name that an evaluation on a data set of these classes reports."""
    return [one for name, metric in _ordered() for one in _reported(name, metric, info)]


def default_names(info: DatasetInfo) -> list[str]:
    """The names of the metrics that the registry marks as headlines or as decisive for promotion.

    A metric of scores of doubt is shown for the confidence alone, not for the others.
    """
    names = []
    for name, metric in _ordered():
        if metric.headline or metric.margin is not None:
            chief = chief_name(name, metric)
            names += [chief] if isinstance(metric, ScoredMetric) else _reported(name, metric, info)
    return names


def check_names(names: tuple[str, ...], info: DatasetInfo, field: str) -> None:
    """Refuses names of metrics that a data set of these classes has not.

    Args:
        names: reported names, e.g. "dice_lesion".
        info: the data set.
        field: where the names were read, for the message.

    Raises:
        UmlError: a name is unknown.
    """
    known = reported_names(info)
    for name in names:
        if name not in known:
            close = get_close_matches(name, known, 3)
            hint = f" (perhaps {' or '.join(close)})" if close else ""
            raise UmlError(f"{field}: found '{name}'{hint}, expected some of {', '.join(known)}")
