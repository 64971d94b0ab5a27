"""The learning curve of a study: what its metrics become with more training images."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.figure import Figure

from uml_tf.figures.points import Point, point_figure
from uml_tf.study.cells import Study
from uml_tf.study.results import ArmMetric
from uml_tf.study.table import drawn, metric_title


def learning_curve_figure(study: Study, rows: Sequence[ArmMetric]) -> Figure:
    """For each metric a panel: the first arm and those with a share of the subjects, by their images.

    Args:
        study: with ``training_share``.
        rows: from ``study_results``, at least one of these arms.
    """
    first = next(iter(study.spec.arms))
    arms = [arm for arm in study.spec.arms if arm == first or arm in study.spec.training_share]
    panels = []
    for metric in dict.fromkeys(row.metric for row in rows if row.arm in arms):
        points = [
            Point(
                row.arm,
                study.training_images(row.arm),
                drawn(row.mean),
                [value for value in row.by_seed if not math.isnan(value)],
            )
            for row in rows
            if row.metric == metric and row.arm in arms
        ]
        panels.append((metric_title(metric), points))
    return point_figure(panels, "training images")
