"""The learning curve of a study: what its metrics become with more training images."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.figure import Figure

from uml_tf.figures.points import Point, point_figure
from uml_tf.study.cells import Study
from uml_tf.study.results import ArmMetric
from uml_tf.study.table import drawn, metric_title


def learning_curve_figure(study: Study, rows: Sequence[ArmMetric]) -> Figure | None:
    """For each metric a panel: the first arm and those of ``training_share``, by their training images.

    Args:
        study: the study.
        rows: from ``study_results``.

    Returns:
        The figure; None for a study without a share, or where none of these arms has a result.
    """
    first = next(iter(study.spec.arms))
    arms = {first, *study.spec.training_share}
    rows = [row for row in rows if row.arm in arms]
    if not rows or not study.spec.has_shares:
        return None
    images = {arm: study.training_images(arm) for arm in arms}
    panels = []
    for metric in dict.fromkeys(row.metric for row in rows):
        points = [
            Point(
                row.arm,
                images[row.arm],
                drawn(row.mean),
                [value for value in row.by_seed if not math.isnan(value)],
            )
            for row in rows
            if row.metric == metric
        ]
        panels.append((metric_title(metric), points))
    return point_figure(panels, "training images")
