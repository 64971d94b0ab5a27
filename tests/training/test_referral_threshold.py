from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uml_tf.training.referral_threshold import fit_refer_above


@given(st.integers(0, 500), st.floats(0.0, 0.5))
def test_accepted_images_keep_the_risk_and_nothing_larger_would(seed, target):
    rng = np.random.default_rng(seed)
    doubt, correct = rng.integers(1, 20, 40) / 20, rng.random(40) < 0.8
    threshold = fit_refer_above(doubt, correct, target)
    accepted = doubt <= threshold
    assert not accepted.any() or (~correct[accepted]).mean() <= target + 1e-12
    for larger in np.unique(doubt[doubt > threshold]):
        assert (~correct[doubt <= larger]).mean() > target


def test_nothing_to_fit_on():
    assert fit_refer_above(np.array([]), np.array([], bool)) is None


def test_hopeless_model_refers_everything():
    assert fit_refer_above(np.array([0.1, 0.2]), np.array([False, False])) == pytest.approx(0.0)
