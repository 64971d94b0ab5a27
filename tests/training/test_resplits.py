"""The promise on resplits: subjects stay whole, and a promise is kept as often as it says."""

from __future__ import annotations

import numpy as np

from uml_tf.training.resplits import Resplit, check_promise, random_parts


def test_a_part_has_its_share_of_the_subjects_and_divides_none():
    subjects = np.repeat(np.arange(30), 3)
    parts = list(random_parts(subjects, 1 / 3, 20))
    for part in parts:
        assert part.sum() == 30
        for subject in range(30):
            assert part[subjects == subject].min() == part[subjects == subject].max()
    assert any((one != parts[0]).any() for one in parts)


def test_the_promise_is_kept_in_nine_of_ten_resplits():
    rng = np.random.default_rng(0)
    confidence = rng.beta(5, 0.7, 900)
    correct = rng.random(900) < confidence
    found = check_promise(confidence, correct, np.ones(900, bool), range(900), 0.3, 25, 0.1, 0.9)
    assert all(one.images == 630 for one in found)
    assert (
        np.mean([one.keeps(0.1) for one in found]) >= 0.75
    )  # of finite parts, in which chance may break a kept promise
    assert np.mean([one.accepted for one in found]) > 150


def test_nothing_is_accepted_where_nothing_may_be_and_no_ungradable_image_is():
    confidence, wrong = np.linspace(0.5, 1, 100), np.zeros(100, bool)
    none = check_promise(confidence, wrong, ~wrong, range(100), 0.6, 5)
    assert none == [Resplit(None, 40, 0, 0)] * 5
    assert all(one.keeps(0.05) for one in none)
    gradable = np.arange(100) % 2 == 0
    found = check_promise(confidence, gradable, gradable, range(100), 0.6, 5, 0.2)
    assert all(one.wrong == 0 and 0 < one.accepted <= 40 for one in found)
    assert not Resplit(0.5, 10, 10, 1).keeps(0.05)
