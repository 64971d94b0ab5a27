"""What a model reaches on each group of images: by source, class, site, device, sex, age band."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from uml_tf.data.columns import column, groups
from uml_tf.data.dataset import PreparedDataset
from uml_tf.evaluation.measure import ImageMeasure
from uml_tf.evaluation.summary import Metrics, estimates_of
from uml_tf.metrics.metric import metric_of
from uml_tf.reports.material import Material
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.model_card import ModelCard

SOURCE, LABEL = "dataset", "label"
"""Columns that the measures of the images know without the data set."""
FEW = 20
"""A group of fewer images is marked: its intervals are wide, and what is not seen there is no proof."""
SHOWN = ("accuracy", "balanced_accuracy", "mean_dice", "accepted", "accepted_risk", "ungradable")


@dataclass(frozen=True)
class Group:
    """Some images that have something in common.

    Attributes:
        name: of the group.
        images, subjects: how many.
        metrics: of these images.
        apart: words for the metrics whose whole interval is worse than the value of all images.
    """

    name: str
    images: int
    subjects: int
    metrics: Metrics
    apart: tuple[str, ...]

    @property
    def few(self) -> bool:
        """Whether there are too few images to say much."""
        return self.images < FEW


@dataclass(frozen=True)
class Grouping:
    """All groups by one column.

    Attributes:
        by: name of the column.
        groups: in the order of their names.
    """

    by: str
    groups: tuple[Group, ...]


def _values(
    by: str, measures: Sequence[ImageMeasure], card: ModelCard, dataset: PreparedDataset | None
) -> dict[str, str]:
    """Image -> its value of a column."""
    if by == LABEL:
        return {m.image: card.image_classes[m.label] if m.label >= 0 else "" for m in measures}
    if by == SOURCE and any(m.source for m in measures):
        return {m.image: m.source for m in measures}
    if dataset is None:
        raise UmlError(f"--by {by}: the data set is no longer where it was, expected its folder in --data")
    known = column(dataset, by)
    return {m.image: known.get(m.image, "") for m in measures}


def _worse(name: str, found: Metrics, whole: Metrics) -> bool:
    metric, own, all_images = metric_of(name), found.get(name), whole.get(name)
    if metric is None or own is None or own.low is None or own.high is None:
        return False
    if all_images is None or all_images.value is None:
        return False
    return own.high < all_images.value if metric.better == "higher" else own.low > all_images.value


def _group(name: str, measures: Sequence[ImageMeasure], whole: Metrics) -> Group:
    found = estimates_of(measures, SHOWN)
    judged = ("accuracy", "mean_dice", "accepted_risk", "ungradable")
    apart = tuple(metric for metric in judged if _worse(metric, found, whole))
    return Group(name, len(measures), len({m.resampled_with for m in measures}), found, apart)


def grouping(
    by: str,
    measures: Sequence[ImageMeasure],
    metrics: Metrics,
    card: ModelCard,
    dataset: PreparedDataset | None,
) -> Grouping:
    """The groups of images by a column of the manifest.

    Args:
        by: the column: "dataset", "label", or any other, such as site, device, sex or age.
        measures: of all images.
        metrics: of all images.
        card: names of the model's classes.
        dataset: of the images; needed for other columns than these two.

    Raises:
        UmlError: there is no such column.
    """
    of_image = {m.image: m for m in measures}
    found = groups(_values(by, measures, card, dataset))
    return Grouping(
        by,
        tuple(_group(name, [of_image[i] for i in images], metrics) for name, images in found.items()),
    )


def groupings_of(material: Material, columns: Sequence[str]) -> list[Grouping]:
    """The groups by each of some columns; of a merged set those by source first.

    Args:
        material: the images and their measures.
        columns: names, as for ``grouping``.

    Raises:
        UmlError: there is no such column.
    """
    several = len({m.source for m in material.measures}) > 1
    asked = dict.fromkeys((SOURCE, *columns) if several else columns)
    dataset = material.images() if set(asked) - {SOURCE, LABEL} else None
    return [grouping(by, material.measures, material.metrics, material.card, dataset) for by in asked]
