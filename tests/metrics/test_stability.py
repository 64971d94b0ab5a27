"""Signs of drift: rare where nothing has changed, sure where much has."""

from __future__ import annotations

import numpy as np
import pytest

from uml_tf.metrics.stability import control_limits, stability

BINS = 20


def _histogram(values):
    return np.histogram(values, BINS, (0, 1))[0]


def test_the_index_is_that_of_its_definition():
    p, q = np.array([10.5, 20.5, 30.5]) / 61.5, np.array([20.5, 20.5, 20.5]) / 61.5
    found = stability(np.array([10, 20, 30]), np.array([20, 20, 20]))
    assert found.index == pytest.approx(((q - p) * np.log(q / p)).sum())
    assert stability(np.array([5, 5]), np.array([5, 5])).index == 0


@pytest.mark.parametrize(("reference", "images"), [(100, 50), (400, 2000)])
def test_without_a_change_few_alarms_and_with_one_nearly_always(reference, images):
    rng = np.random.default_rng(0)
    alarms = {0.0: 0, 0.25: 0}
    for shift in alarms:
        for _ in range(300):
            first, then = rng.beta(5, 2, reference), rng.beta(5, 2, images) - shift
            alarms[shift] += stability(_histogram(first), _histogram(then)).verdict != "stable"
    assert alarms[0.0] <= 9
    assert alarms[0.25] >= 270


def test_a_number_that_is_nearly_always_one_is_watched_too():
    reference = np.array([2, *[0] * 18, 198])
    assert stability(reference, reference).verdict == "stable"
    assert stability(reference, np.array([60, *[0] * 18, 140])).verdict == "large shift"


def test_control_limits_hold_what_is_chance():
    rng = np.random.default_rng(1)
    outside = 0
    for _ in range(400):
        count, day = rng.binomial(150, 0.2), rng.binomial(40, 0.2) / 40
        low, high = control_limits(count, 150, 40)
        outside += not low <= day <= high
    assert outside <= 4
    low, high = control_limits(30, 150, 40)
    assert low < 0.1
    assert 0.35 < high < 0.5
