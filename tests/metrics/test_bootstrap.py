from __future__ import annotations

import numpy as np
import pytest

from uml_tf.metrics.bootstrap import RESAMPLES, bootstrap, resamples


def _mean(values):
    return lambda draws: (draws @ values / draws.sum(axis=1))[:, None]


def test_the_value_lies_in_the_interval_and_equal_seeds_give_equal_intervals():
    values = np.random.default_rng(0).normal(3, 1, 95)
    (a,), (b,) = (bootstrap(_mean(values), range(95)) for _ in range(2))
    assert a == b
    assert a.low < a.value < a.high
    assert a.value == pytest.approx(values.mean())
    assert a.high - a.low == pytest.approx(2 * 1.96 / np.sqrt(95), rel=0.2)
    assert (a.images, a.subjects, a.resamples) == (95, 95, RESAMPLES)


def test_images_of_their_own_are_drawn_one_by_one_in_the_order_of_the_generator():
    rng = np.random.default_rng(4)
    for draw in resamples([f"patient {i}" for i in range(30)], count=20, seed=4):
        np.testing.assert_array_equal(draw, np.bincount(rng.integers(0, 30, 30), minlength=30))


def test_a_subject_is_drawn_with_all_of_its_images():
    subjects = ["a", "b", "a", "c", "b", "a"]
    sizes = {"a": 3, "b": 2, "c": 1}
    seen = set()
    for draw in resamples(subjects, count=200):
        times = {s: sum(draw[i] for i in range(6) if subjects[i] == s) / size for s, size in sizes.items()}
        assert sum(times.values()) == 3
        assert [times[subject] for subject in subjects] == draw.tolist()
        seen.add(tuple(times.values()))
    assert len(seen) == 10  # every way to draw 3 of 3 with repeats


def test_copies_of_an_image_do_not_make_the_interval_narrower():
    values = np.random.default_rng(1).normal(0, 1, 40)
    (one,) = bootstrap(_mean(values), range(40))
    copied = np.repeat(values, 4)
    (subjects,) = bootstrap(_mean(copied), np.repeat(range(40), 4).tolist())
    (images,) = bootstrap(_mean(copied), range(160))
    assert (subjects.low, subjects.high) == pytest.approx((one.low, one.high))
    assert (subjects.images, subjects.subjects) == (160, 40)
    assert images.high - images.low < 0.6 * (subjects.high - subjects.low)


def test_a_metric_that_is_undefined_on_some_resamples_keeps_its_interval():
    rare = np.arange(12) == 0

    def recall(draws):
        return [[float("nan") if not draw[rare].any() else 1.0, float("nan")] for draw in draws]

    defined, undefined = bootstrap(recall, range(12))
    assert (defined.value, defined.low, defined.high) == (1, 1, 1)
    assert defined.resamples / RESAMPLES == pytest.approx(1 - (11 / 12) ** 12, abs=0.05)
    assert (undefined.value, undefined.low, undefined.resamples) == (None, None, 0)
    assert undefined.images == 12
