from __future__ import annotations

import numpy as np
import pytest

from uml_tf.runtime.gradability import STATISTICS, fit_gradability, image_statistics
from uml_tf.runtime.model_card import ModelCard
from uml_tf.runtime.referral import decide


def _photograph(seed):
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:48, :48]
    disc = np.exp(-((rows - rng.uniform(18, 30)) ** 2 + (columns - rng.uniform(18, 30)) ** 2) / 120)
    image = 60 + 120 * disc[..., None] * [1.0, 0.6, 0.3] + rng.normal(0, 3, (48, 48, 3))
    return np.clip(image, 0, 255)


@pytest.fixture(scope="module")
def card():
    photographs = [_photograph(seed) for seed in range(80)]
    gradability = fit_gradability(photographs[:60], photographs[60:], quantile=1.0)
    return ModelCard(("a", "b"), ("x", "y"), refer_above=0.2, gradability=gradability)


def test_threshold_decides_on_images_of_the_kind(card):
    assert decide(0.3, _photograph(100), card).action == "refer"
    accepted = decide(0.2, _photograph(100), card)
    assert accepted.action == "accept"
    assert "0.200" in accepted.reason


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda image: image * 0.05, "below"),
        (lambda image: 255 - image, "above"),
        (lambda image: image[..., ::-1], "ness is"),
        (lambda image: np.zeros_like(image), "below"),
        (lambda image: np.random.default_rng(0).uniform(0, 255, image.shape), "above"),
    ],
    ids=["dark", "inverted", "channels swapped", "black", "noise"],
)
def test_another_kind_of_image_is_ungradable_however_certain_the_class(card, change, named):
    decision = decide(0.01, change(_photograph(101)), card)
    assert decision.action == "ungradable"
    assert named in decision.reason
    assert "standard deviations" in decision.reason


def test_without_thresholds_everything_is_referred():
    decision = decide(0.0, _photograph(0), ModelCard(("a", "b"), ("x", "y")))
    assert decision.action == "refer"
    assert "no referral threshold" in decision.reason


@pytest.mark.parametrize("value", [0, 255])
def test_statistics_of_a_flat_image_are_finite(value):
    found = image_statistics(np.full((16, 16, 3), value, np.uint8))
    assert found.shape == (len(STATISTICS),)
    assert np.isfinite(found).all()
