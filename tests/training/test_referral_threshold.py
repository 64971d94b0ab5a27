from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uml_tf.training.referral_threshold import fit_refer_above


def _images(seed, ties):
    rng = np.random.default_rng(seed)
    uncertainty = rng.integers(1, 20, 40) / 20 if ties else rng.uniform(0.01, 1, 40)
    return uncertainty.astype(np.float32), rng.random(40) < 0.8


@given(st.integers(0, 500), st.floats(0.0, 0.5), st.booleans())
def test_accepted_images_keep_the_risk_and_no_larger_threshold_would(seed, target, ties):
    uncertainty, correct = _images(seed, ties)
    threshold = fit_refer_above(uncertainty, correct, target)
    accepted = uncertainty <= threshold
    assert not accepted.any() or (~correct[accepted]).mean() <= target + 1e-12
    for larger in np.unique(uncertainty[uncertainty > threshold]):
        assert (~correct[uncertainty <= larger]).mean() > target


@given(st.integers(0, 500), st.floats(0.0, 1.0), st.booleans())
def test_rounding_of_the_outputs_changes_no_decision(seed, target, ties):
    uncertainty, correct = _images(seed, ties)
    threshold = fit_refer_above(uncertainty, correct, target)
    distances = np.abs(uncertainty.astype(np.float64) - threshold)
    assert distances.min() > 0
    values = np.unique(uncertainty).astype(np.float64)
    above = values[values > threshold]
    if threshold and above.size:  # as far from the last accepted as from the first referred image
        assert distances.min() == pytest.approx((above[0] - values[values < threshold][-1]) / 2)
    noise = np.random.default_rng(seed).uniform(-0.99, 0.99, len(uncertainty)) * distances.min()
    np.testing.assert_array_equal(uncertainty + noise <= threshold, uncertainty <= threshold)


def test_neighbouring_numbers_are_kept_apart():
    low = 0.25
    high = np.nextafter(low, 1)
    threshold = fit_refer_above(np.array([low, high]), np.array([True, False]), 0.0)
    assert low <= threshold < high


def test_none_without_images():
    assert fit_refer_above(np.array([]), np.array([], bool)) is None


def test_every_image_is_referred_where_no_number_of_images_reaches_the_risk():
    assert fit_refer_above(np.array([0.1, 0.2]), np.array([False, False])) == pytest.approx(0.0)


def test_equal_images_that_are_all_accepted_are_not_on_the_threshold():
    assert fit_refer_above(np.full(5, 0.3), np.ones(5, bool)) == pytest.approx(0.301)
