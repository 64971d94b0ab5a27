"""The density of the training images is fitted a batch at a time, and is that of all of them together."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from uml_tf.training.density_fit import fit_gaussian
from uml_tf.training.moments import Moments, moments_of


def _together(vectors):
    """Mean, scale, directions, their variances and the rest's, by singular values of all vectors."""
    given = vectors.astype(np.float64)
    count, size = given.shape
    mean, deviation = given.mean(axis=0), given.std(axis=0)
    scale = np.maximum(deviation, max(0.1 * np.median(deviation), 1e-6))
    _, singular, directions = np.linalg.svd((given - mean) / scale, full_matrices=False)
    kept = max(min(32, count // 2, size - 1), 1)
    variances = singular**2 / (count - 1)
    rest = max(variances[kept:].sum() / (size - kept), 1e-3)
    return mean, scale, directions[:kept].T, np.maximum(variances[:kept], rest), rest


def _features(count, size):
    """Of a few causes and noise, far from 0, one of them constant: float32, as a network's are."""
    rng = np.random.default_rng(count + size)
    causes = rng.normal(size=(count, 40)) * np.geomspace(3, 0.3, 40)
    vectors = causes @ rng.normal(size=(40, size)) + rng.normal(0, 0.2, (count, size)) + 1000.0
    vectors[:, 1] = 7.3
    return vectors.astype(np.float32)


def _batches(vectors, size=16):
    return (vectors[start : start + size] for start in range(0, len(vectors), size))


@pytest.mark.parametrize(("count", "size"), [(500, 60), (130, 160), (40, 160), (17, 60), (2, 60), (500, 4)])
def test_batches_give_the_density_of_all_vectors_together(count, size):
    vectors = _features(count, size)
    (moments,) = moments_of((batch,) for batch in _batches(vectors))
    found = fit_gaussian(moments)
    mean, scale, directions, variances, rest = _together(vectors)
    np.testing.assert_allclose(found.mean.array, mean, rtol=1e-6)
    np.testing.assert_allclose(found.scale.array, scale, rtol=1e-6)
    np.testing.assert_allclose(found.variances.array, variances, rtol=1e-6)
    assert found.residual == pytest.approx(rest, rel=1e-9)
    own = found.directions.array
    assert own.shape == directions.shape
    # The sign of a direction is arbitrary.
    np.testing.assert_allclose(np.abs((own * directions).sum(axis=0)), 1, atol=1e-6)
    together = fit_gaussian(Moments.of(vectors)).distance(vectors)
    np.testing.assert_allclose(found.distance(vectors), together, rtol=1e-5)


def test_memory_does_not_grow_with_the_number_of_vectors():
    def peak(batches):
        rng = np.random.default_rng(0)
        tracemalloc.start()
        moments_of((rng.normal(size=(16, 80)).astype(np.float32),) for _ in range(batches))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(2)
    assert peak(400) < 1.05 * peak(20)
