"""A metric of resamples, by how often each image was drawn, is that of the repeated rows."""

from __future__ import annotations

import numpy as np
import pytest

from uml_tf.metrics.draws import in_parts, rows_drawn, sums_of_draws
from uml_tf.metrics.metric import METRICS
from uml_tf.metrics.metric_base import ImagesMetric, of_draws
from uml_tf.metrics.packed_counts import packed

N = 60
FAST = sorted(name for name, metric in METRICS.items() if isinstance(metric, ImagesMetric))


def _draws(rng):
    """Resamples of images; of subjects with several; one image alone; many copies of one."""
    images = [np.bincount(rng.integers(0, N, N), minlength=N) for _ in range(6)]
    subjects = [np.bincount(rng.integers(0, 20, 20), minlength=20)[np.arange(N) % 20] for _ in range(6)]
    return np.array([*images, *subjects, np.arange(N) == 3, 40 * (np.arange(N) < 2)], np.float64)


def _arrays(kind, rng, levels):
    """What the metrics of a kind take; with few levels many images share a number."""
    first, second, third = (np.ceil(levels * rng.random(N)) / levels for _ in range(3))
    if kind == "class":
        probability = np.stack([first, second, third], axis=1)
        return rng.integers(0, 3, N), probability / probability.sum(axis=1, keepdims=True)
    if kind == "interval":
        return first - 0.3, first + 0.2 * second, third
    return first, second if kind in ("grades", "mask doubt", "mask quality") else rng.random(N) < first


@pytest.mark.parametrize("name", FAST)
def test_counts_are_repeated_rows(name):
    rng = np.random.default_rng(0)
    metric, draws = METRICS[name], _draws(rng)
    for levels in (3, 10**6):
        arrays = _arrays(metric.kind, rng, levels)
        rows = [rows_drawn(draw) for draw in draws]
        expected = [metric.value(*(array[index] for array in arrays)) for index in rows]
        np.testing.assert_allclose(of_draws(metric, *arrays)(draws), expected, rtol=0, atol=1e-12)


def test_two_classes_and_a_metric_that_knows_no_counts():
    rng = np.random.default_rng(1)
    draws, score = _draws(rng), rng.random(N)
    labels, probability = (rng.random(N) < score).astype(int), np.stack([1 - score, score], axis=1)
    for metric in (METRICS["auc"], METRICS["nll"]):
        expected = [metric.value(labels[index], probability[index]) for index in map(rows_drawn, draws)]
        np.testing.assert_allclose(of_draws(metric, labels, probability)(draws), expected, atol=1e-12)
    plain = type(METRICS["auc"])(value=METRICS["auc"].value, better="higher", description="")
    np.testing.assert_allclose(
        of_draws(plain, labels, probability)(draws), of_draws(METRICS["auc"], labels, probability)(draws)
    )


def test_sums_of_narrow_counts_do_not_overflow():
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 70_000, (5000, 4, 2)).astype(float)
    draws = rng.integers(0, 5, (3, 5000)).astype(float)
    counts[:, 1] = 0
    small = [packed(one) for one in counts]
    assert {one.dtype for one in small} == {np.dtype(np.uint16), np.dtype(np.uint32)}
    expected = np.stack([(draw[:, None, None] * counts).sum(axis=0) for draw in draws])
    np.testing.assert_array_equal(sums_of_draws(draws.astype(np.uint8), small), expected)
    np.testing.assert_array_equal(sums_of_draws(draws, counts), expected)


def test_packed_counts_are_the_same_in_a_fraction_of_the_room():
    rng = np.random.default_rng(0)
    sparse = rng.integers(0, 70_000, (300, 4)) * (rng.random((300, 4)) < 0.1)
    cases = [sparse, sparse + 0.25, -sparse, sparse * 1e30, np.array([np.nan, np.inf, 1]), np.zeros((0, 3))]
    for counts in [*cases, np.array(7.0), np.asfortranarray(sparse, float)]:
        np.testing.assert_array_equal(packed(counts), counts, strict=packed(counts).dtype == counts.dtype)
    assert packed(sparse.astype(float)) == packed(sparse.astype(np.uint32))
    assert len(packed(sparse.astype(float)).deflated) < sparse.size


def test_resamples_in_parts_are_those_together():
    draws = np.arange(12.0).reshape(4, 3)
    wide = np.repeat(draws, 40_000, axis=1)
    np.testing.assert_array_equal(in_parts(lambda some: some.sum(axis=1))(wide), wide.sum(axis=1))
