"""The results of a study: each metric of each arm over seeds and folds, and its difference to the first arm.

The folds of a seed are pooled: the images of all test parts together, each measured by the network that had
not seen it. A metric is computed for each seed and then averaged. Intervals are bootstrap intervals over
subjects of that average. They speak of other images; the deviation over seeds speaks of other trainings. An
arm is called better or worse only where a difference stands out from both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from scipy.stats import t as student

from uml_tf.evaluation.comparison import Difference, differences_of_means
from uml_tf.evaluation.measure import ImageMeasure
from uml_tf.evaluation.repeats import commonly_defined, mean_statistics
from uml_tf.evaluation.statistics import statistics
from uml_tf.evaluation.summary import estimates
from uml_tf.metrics.bootstrap import Estimate
from uml_tf.runtime.errors import UmlError

Pooled = dict[str, ImageMeasure]
"""Image -> its measure, by the network of one seed that had not seen it."""


_UNDEFINED = Estimate(None, None, None, 0, 0, 0)


@dataclass(frozen=True)
class ArmMetric:
    """A metric of an arm.

    Attributes:
        metric: reported name.
        arm: name.
        mean: over the seeds, with the 95 % interval over subjects; undefined where the metric is.
        by_seed: the metric of every seed; nan where it is undefined.
        difference: to the first arm, on the images that both have measured; None for the first arm itself,
            and where it is undefined.
        compared_by_seed: the metric of every seed of the first arm and of this one, on the images of the
            difference; empty where there is none.
    """

    metric: str
    arm: str
    mean: Estimate
    by_seed: tuple[float, ...]
    difference: Difference | None
    compared_by_seed: tuple[tuple[float, ...], ...] = ()

    @property
    def verdict(self) -> str:
        """That of the difference (better, worse, or neither); "" for the first arm.

        The interval over subjects says whether a difference is more than chance among images. It says
        nothing of the chance in training, so the seeds have to agree too, wherever there are several.
        """
        if self.difference is None:
            return ""
        if exceeds_seeds(*self.compared_by_seed):
            return self.difference.verdict
        return replace(self.difference, change=_UNDEFINED).verdict  # that of a difference without interval

    @property
    def deviation(self) -> float | None:
        """Standard deviation over the seeds (n - 1); None for a single one, or where it is undefined."""
        if len(self.by_seed) < 2 or np.isnan(self.by_seed).any():
            return None
        return float(np.std(self.by_seed, ddof=1))


def exceeds_seeds(first: Sequence[float], other: Sequence[float]) -> bool:
    """Whether two means differ by more than the deviation over seeds explains.

    Welch's t-test at 5 % (Welch, 1947). True where one of them has a single value, since nothing is known of
    its deviation then.
    """
    if min(len(first), len(other)) < 2:
        return True
    difference = abs(float(np.mean(other) - np.mean(first)))
    parts = np.array([np.var(values, ddof=1) / len(values) for values in (first, other)])
    if not parts.sum() > 0:
        return difference > 0
    degrees = parts.sum() ** 2 / sum(p**2 / (len(v) - 1) for p, v in zip(parts, (first, other), strict=True))
    return difference > float(student.ppf(0.975, degrees)) * float(np.sqrt(parts.sum()))


def pooled(folds: Sequence[Sequence[ImageMeasure]]) -> Pooled:
    """The measures of a seed's folds together.

    Raises:
        UmlError: an image is in the test part of two folds.
    """
    found: Pooled = {}
    for measures in folds:
        for m in measures:
            if m.image in found:
                raise UmlError(f"{m.image}: found in two test parts of one seed, expected it in one")
            found[m.image] = m
    return found


def _of_images(seeds: Sequence[Pooled], images: Sequence[str]) -> list[list[ImageMeasure]]:
    return [[seed[image] for image in images] for seed in seeds]


def _common_images(*arms: Sequence[Pooled]) -> list[str]:
    """The images that every seed of every arm has measured, in the order of the first."""
    every = [seed for seeds in arms for seed in seeds]
    return [image for image in every[0] if all(image in seed for seed in every)]


def _each(repeats: Sequence[Sequence[ImageMeasure]], metrics: Sequence[str]) -> dict[str, tuple[float, ...]]:
    """Metric -> its value by every repeat."""
    found: dict[str, list[float]] = {}
    for measures in repeats:
        for one in statistics(measures, metrics):
            for name, value in one.of_all_images.items():
                found.setdefault(name, []).append(float(value))
    return {name: tuple(values) for name, values in found.items()}


class _Means(NamedTuple):
    """The metrics of an arm: the mean over its seeds, and each seed's own on the same images."""

    seeds: int
    mean: dict[str, Estimate]
    each: dict[str, tuple[float, ...]]

    def mean_of(self, metric: str) -> Estimate:
        return self.mean.get(metric, _UNDEFINED)

    def each_of(self, metric: str) -> tuple[float, ...]:
        return self.each.get(metric, (np.nan,) * self.seeds)


def _means(seeds: Sequence[Pooled], metrics: Sequence[str]) -> _Means:
    common = commonly_defined(_of_images(seeds, _common_images(seeds)))
    mean = estimates(mean_statistics(common, metrics), common[0])
    return _Means(len(seeds), mean, _each(common, metrics))


class _Compared(NamedTuple):
    """A difference, and the metric of every seed of both arms on its images."""

    difference: Difference
    by_seed: tuple[tuple[float, ...], ...]


def _compared(
    first: Sequence[Pooled], other: Sequence[Pooled], metrics: Sequence[str]
) -> dict[str, _Compared]:
    """Metric -> the comparison; those that are not defined on the images of both are left out."""
    images = _common_images(first, other)
    if not images:
        return {}
    common = commonly_defined([*_of_images(first, images), *_of_images(other, images)])
    sides = common[: len(first)], common[len(first) :]
    before, after = (_each(side, metrics) for side in sides)
    return {
        d.metric: _Compared(d, (before[d.metric], after[d.metric]))
        for d in differences_of_means(*sides, metrics)
        if d.change.value is not None
    }


def study_results(arms: Mapping[str, Sequence[Pooled]], metrics: Sequence[str]) -> list[ArmMetric]:
    """Every metric of every arm, ordered by metric and then by arm.

    Args:
        arms: arm -> the pooled measures of each of its seeds, at least one.
        metrics: reported names.
    """
    first = next(iter(arms))
    means = {arm: _means(seeds, metrics) for arm, seeds in arms.items()}
    compared = {
        arm: _compared(arms[first], seeds, metrics) if arm != first else {} for arm, seeds in arms.items()
    }
    rows = []
    for metric in metrics:
        for arm in arms:
            difference, by_seed = compared[arm].get(metric, (None, ()))
            mean, each = means[arm].mean_of(metric), means[arm].each_of(metric)
            rows.append(ArmMetric(metric, arm, mean, each, difference, by_seed))
    return rows
