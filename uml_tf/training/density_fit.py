"""The density of the training images, fitted on their feature vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uml_tf.runtime.density import Density, Gaussian
from uml_tf.runtime.packed import Packed
from uml_tf.training.moments import Moments, moments_of

Array = NDArray[Any]

MOST_DIRECTIONS = 32
QUANTILE = 0.99
"""Share of the validation images that are to count as familiar."""

_VECTORS_PER_DIRECTION = 2
_SMALLEST_SCALE = 0.1
_SMALLEST_VARIANCE = 1e-3
_MARGIN = 0.01
"""How far the limit lies above the largest distance where no distance lies above it, as a share of it."""

_TOGETHER = 512
"""Vectors whose distances are computed at once."""


def fit_gaussian(moments: Moments) -> Gaussian:
    """Mean, principal directions with their variances, and one variance for the rest; the limit is infinite.

    There are at most as many directions as half of the vectors, so that the variances are well estimated
    from 50 vectors in 200 dimensions too. A dimension that hardly varies counts as varying by a tenth of the
    median: else rounding alone would be far away.

    Args:
        moments: of at least 2 vectors.
    """
    count, size = moments.count, len(moments.mean)
    deviation = moments.deviation
    scale = np.maximum(deviation, max(_SMALLEST_SCALE * float(np.median(deviation)), 1e-6))
    covariance = moments.scatter / (np.outer(scale, scale) * max(count - 1, 1))
    found, axes = np.linalg.eigh(covariance)
    # Largest first. Of fewer vectors than dimensions most are 0, which rounding may put below it.
    variances, directions = np.maximum(found[::-1], 0.0), axes[:, ::-1]
    kept = max(min(MOST_DIRECTIONS, count // _VECTORS_PER_DIRECTION, size - 1), 1)
    rest = max(float(variances[kept:].sum()) / max(size - kept, 1), _SMALLEST_VARIANCE)
    return Gaussian(
        Packed.of(moments.mean),
        Packed.of(scale),
        Packed.of(directions[:, :kept]),
        Packed.of(np.maximum(variances[:kept], rest)),
        rest,
        float("inf"),
    )


def in_parts(function: Callable[..., Array], *vectors: Array) -> Array:
    """What a function of a density returns, ``(N, 1)``, of all of ``(N, ...)`` arrays, a few at a time.

    It takes D times R numbers for each vector, which of ten thousands at once are gigabytes.
    """
    starts = range(0, len(vectors[0]), _TOGETHER)
    return np.concatenate(
        [function(*(part[start : start + _TOGETHER] for part in vectors)) for start in starts]
    )


def with_limit(gaussian: Gaussian, vectors: Array, quantile: float = QUANTILE) -> Gaussian:
    """The same with the limit that at least this share of some vectors ``(N, D)`` lies within.

    It lies halfway between two distances, so that a rounding moves no image across it.
    """
    distances = in_parts(gaussian.distance, np.asarray(vectors, np.float32))
    ordered = np.sort(distances[:, 0].astype(np.float64))
    inside = ordered[max(int(np.ceil(quantile * len(ordered))), 1) - 1]
    above = ordered[ordered > inside]
    limit = (inside + above[0]) / 2 if above.size else inside * (1 + _MARGIN)
    return replace(gaussian, limit=float(max(limit, 1e-6)))


def fit_density(training: Iterable[tuple[Array, Array]], validation: tuple[Array, Array]) -> Density:
    """Two Gaussians of the training images, with limits that the validation images lie within.

    Args:
        training: features ``(N, D)`` and sharpness ``(N, 4)`` of some images at a time, of at least 2 in all.
        validation: the same of other images.
    """
    features, sharpness = moments_of(training)
    return with_limits(Density(fit_gaussian(features), fit_gaussian(sharpness)), validation)


def with_limits(density: Density, validation: tuple[Array, Array]) -> Density:
    """The same Gaussians with the limits of other images, as ``fit_density`` takes them."""
    return Density(with_limit(density.features, validation[0]), with_limit(density.sharpness, validation[1]))
