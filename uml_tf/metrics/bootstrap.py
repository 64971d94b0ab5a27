"""Bootstrap 95 % intervals over subjects.

``scipy.stats.bootstrap`` gives the same percentile intervals from the same random numbers, but nan for a
metric that is undefined on one resample (an AUC where the rare class was not drawn), and takes one number at
a time; here all metrics of the same images share each resample.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uml_tf.runtime.threads import cores

Statistic = Callable[[NDArray[Any]], NDArray[Any]]

RESAMPLES = 1000
LEVEL = 0.95
_MANY = 20_000
"""Images from which on other processes are worth their start."""
_PROCESSES = 4
"""At most: each has a copy of the counts of all images."""
_TOGETHER = 1 << 26
"""Counts that a statistic gets at once, of one byte each: 671 resamples of 100,000 images."""


@dataclass(frozen=True)
class Estimate:
    """A metric with its interval.

    Attributes:
        value: on the images themselves; None where the metric is undefined.
        low, high: 2.5th and 97.5th percentile over resampled subjects; None likewise.
        images: number of images that the value is computed from.
        subjects: number of subjects that these images show.
        resamples: number of resamples that the interval is made of.
    """

    value: float | None
    low: float | None
    high: float | None
    images: int
    subjects: int
    resamples: int


def resamples(subjects: Sequence[Hashable], count: int = RESAMPLES, seed: int = 0) -> Iterator[NDArray[Any]]:
    """Yields ``(N,)`` how often each image was drawn: each subject is drawn with all of its images.

    Images of one subject (patient, or group of near-duplicates) are not independent; drawn one by one they
    would give an interval that is too narrow. Where every image is a subject of its own, images are drawn.

    Args:
        subjects: the subject of each image, at least one.
        count: number of resamples.
        seed: equal seeds give equal resamples.

    Yields:
        Counts in the narrowest unsigned type, so that many resamples are held at once.
    """
    number = {subject: place for place, subject in enumerate(dict.fromkeys(subjects))}
    subject_of = np.array([number[subject] for subject in subjects])
    rng = np.random.default_rng(seed)
    for _ in range(count):
        drawn = rng.integers(0, len(number), len(number))
        counts = np.bincount(drawn, minlength=len(number))
        yield counts.astype(np.min_scalar_type(counts.max()))[subject_of]


def _draws(statistic: Statistic, subjects: Sequence[Hashable], seed: int) -> NDArray[Any]:
    """``(1 + RESAMPLES, M)`` of M metrics, first of the images themselves.

    Of many images each process takes its share of the resamples.
    """
    processes = min(cores(), _PROCESSES)
    if len(subjects) < _MANY or processes == 1:
        return _part(statistic, subjects, seed, 0, 1)
    from joblib import Parallel, delayed  # here, because to import it takes long

    parts = Parallel(processes)(
        delayed(_part)(statistic, subjects, seed, part, processes) for part in range(processes)
    )
    draws = np.empty((1 + RESAMPLES, parts[0].shape[1]))
    for part, found in enumerate(parts):
        draws[part::processes] = found
    return draws


def _part(
    statistic: Statistic, subjects: Sequence[Hashable], seed: int, first: int, every: int
) -> NDArray[Any]:
    """The metrics of every so-many-th resample, from the first on, which is the images themselves."""
    themselves = np.ones(len(subjects), np.uint8)
    drawn = islice(chain([themselves], resamples(subjects, RESAMPLES, seed)), first, None, every)
    together = max(1, _TOGETHER // len(subjects))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        found = []
        while some := list(islice(drawn, together)):
            found.append(statistic(np.stack(some)))
    return np.concatenate(found)


def bootstrap(statistic: Statistic, subjects: Sequence[Hashable], seed: int = 0) -> list[Estimate]:
    """Percentile bootstrap of several metrics of the same images.

    Resamples on which a metric is undefined (nan) are left out of its interval.

    Args:
        statistic: from ``(D, N)`` of an unsigned type, how often each image was drawn in each of many
            resamples, to ``(D, M)`` metrics; ``in_parts`` makes one of a function of few in float64.
        subjects: the subject of each image, at least one.
        seed: equal seeds give equal intervals.

    Returns:
        An estimate for each metric.
    """
    tail = 100 * (1 - LEVEL) / 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        values, draws = np.split(_draws(statistic, subjects, seed), [1])
        bounds = np.nanpercentile(draws, [tail, 100 - tail], axis=0)
    defined = np.count_nonzero(~np.isnan(draws), axis=0)
    sizes = (len(subjects), len(set(subjects)))
    return [
        Estimate(None, None, None, *sizes, 0)
        if np.isnan(value) or not count
        else Estimate(float(value), float(low), float(high), *sizes, int(count))
        for value, low, high, count in zip(values[0], *bounds, defined, strict=True)
    ]
