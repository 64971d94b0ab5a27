"""The threshold of acceptance, and the promise that it keeps."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from uml_tf.training.accept_threshold import fewest_images, fit_accept_above, upper_bound


@pytest.mark.parametrize(("wrong", "count"), [(0, 45), (1, 77), (7, 100), (3, 3), (0, 1)])
@pytest.mark.parametrize("confidence", [0.8, 0.9, 0.99])
def test_the_bound_is_clopper_and_pearsons(wrong, count, confidence):
    exact = binomtest(wrong, count, alternative="less").proportion_ci(confidence, method="exact")
    assert upper_bound(wrong, count, confidence) == pytest.approx(exact.high, abs=1e-9)


@pytest.mark.parametrize(("target", "confidence"), [(0.05, 0.9), (0.1, 0.95), (0.01, 0.5)])
def test_the_fewest_images_are_those_that_show_it_without_an_error(target, confidence):
    fewest = fewest_images(target, confidence)
    assert upper_bound(0, fewest, confidence) <= target
    assert fewest == 1 or upper_bound(0, fewest - 1, confidence) > target


def _answers(rng, count):
    """Answers whose chance of being right is their confidence."""
    confidence = rng.beta(6, 1.2, count)
    return confidence, rng.random(count) < confidence


MANY = np.sort(np.random.default_rng(1).beta(6, 1.2, 200_000))[::-1]
RISKS = np.cumsum(1 - MANY) / np.arange(1, len(MANY) + 1)


def _risk(threshold):
    """The true risk of such answers above a threshold."""
    return float(RISKS[(threshold <= MANY).sum() - 1])


def test_the_promise_is_kept_as_often_as_it_says():
    rng = np.random.default_rng(0)
    target, confidence, trials = 0.1, 0.8, 400
    thresholds = [fit_accept_above(*_answers(rng, 200), target, confidence).above for _ in range(trials)]
    found = np.array([t for t in thresholds if t is not None])
    broken = sum(_risk(t) > target for t in found)
    assert len(found) > trials / 2
    assert broken / trials <= 1 - confidence + 0.02


def test_more_images_accept_more():
    rng = np.random.default_rng(2)
    few, many = (fit_accept_above(*_answers(rng, count), 0.1, 0.9).above for count in (300, 5000))
    assert few is None or many < few
    assert _risk(many) <= 0.1


def test_it_lies_halfway_between_neighbours():
    confidence = np.concatenate([np.full(50, 0.9), [0.7, 0.6, 0.5]])
    correct = np.concatenate([np.ones(51, bool), [False, False]])
    assert fit_accept_above(confidence, correct).above == pytest.approx(0.65)
    everything = fit_accept_above(confidence, np.ones(53, bool)).above
    assert everything == pytest.approx(0.5 - 0.4 / 52 / 2)


def test_equal_confidences_are_accepted_together():
    confidence = np.concatenate([np.full(50, 0.9), np.full(50, 0.8)])
    correct = np.ones(100, bool)
    correct[[60, 70, 80, 90]] = False
    assert fit_accept_above(confidence, correct).above == pytest.approx(0.85)


def test_where_nothing_may_be_accepted_the_reason_is_said():
    few = fit_accept_above(np.full(30, 0.9), np.ones(30, bool))
    assert few.above is None
    assert few.reason.startswith("30 labelled, familiar validation images, and at most 5 % wrong with 90 %")
    assert few.reason.endswith("needs at least 45")
    wrong = fit_accept_above(np.linspace(1, 0.5, 60), np.arange(60) != 3)
    assert wrong.above is None
    assert wrong.reason.startswith("1 of the 45 most confident validation images are wrong")
