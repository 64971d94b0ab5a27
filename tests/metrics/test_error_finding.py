"""Finding wrong pixels and poor masks by a score of doubt."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import average_precision_score

from uml_tf.metrics import mask_risk
from uml_tf.metrics import uncertainty_error_overlap as error_overlap
from uml_tf.metrics.error_average_precision import error_average_precision
from uml_tf.metrics.error_histogram import BINS, THRESHOLDS, error_histogram


def _pixels(seed=0, count=20_000):
    rng = np.random.default_rng(seed)
    doubt = 10 ** rng.uniform(-5, 0, count)
    return doubt, rng.random(count) < doubt


def test_a_histogram_counts_the_pixels_between_its_thresholds():
    doubt, wrong = _pixels()
    found = error_histogram(doubt, wrong)
    expected = np.histogram(doubt, [*THRESHOLDS, 2])[0]
    np.testing.assert_array_equal(found[:, 1], expected)
    np.testing.assert_array_equal(found[:, 0], np.histogram(doubt[wrong], [*THRESHOLDS, 2])[0])
    assert error_histogram(np.array([0.0, 1.0]), np.array([True, False]))[[0, -1]].tolist() == [
        [1, 1],
        [0, 1],
    ]


def test_average_precision_is_scikit_learns_up_to_the_width_of_a_bin():
    doubt, wrong = _pixels()
    found = error_average_precision(error_histogram(doubt, wrong))
    assert found == pytest.approx(average_precision_score(wrong, doubt), abs=0.01)
    parts = sum(error_histogram(doubt[i::4], wrong[i::4]) for i in range(4))
    assert error_average_precision(parts) == found
    assert error_average_precision(error_histogram(np.full(200, 0.3), wrong[:200])) == wrong[:200].mean()
    assert np.isnan(error_average_precision(error_histogram(doubt, np.zeros(len(doubt), bool))))


def test_the_overlap_is_that_of_the_best_threshold_of_all_images_together():
    images = [_pixels(seed, 900) for seed in range(5)]
    histograms = [error_histogram(*one) for one in images]
    at_best = error_overlap.overlap_at_best_threshold(sum(histograms))
    doubt, wrong = (np.concatenate(part) for part in zip(*images, strict=True))
    dice = []
    for threshold in THRESHOLDS:
        above = doubt >= threshold
        dice.append(2 * (above & wrong).sum() / (above.sum() + wrong.sum()))
    assert len(dice) == BINS
    assert at_best(sum(histograms)) == pytest.approx(max(dice))
    # Of a resample, at the threshold that was chosen on all images.
    doubt, wrong = images[0]
    above = doubt >= THRESHOLDS[np.argmax(dice)]
    assert at_best(histograms[0]) == pytest.approx(2 * (above & wrong).sum() / (above.sum() + wrong.sum()))


def test_the_risk_of_masks_by_hand():
    doubt, risk = np.array([0.3, 0.1, 0.2]), np.array([0.6, 0.0, 0.3])
    assert mask_risk.dice_aurc(doubt, risk) == pytest.approx((0 + 0.15 + 0.3) / 3)
    # Generalized risk 0, 0, 0.1, 0.3 at coverage 0, 1/3, 2/3, 1.
    assert mask_risk.area_under_generalized_risk(doubt, risk) == pytest.approx((0.05 + 0.2) / 3)


def test_the_rank_correlation_is_scipys_with_ties():
    rng = np.random.default_rng(0)
    first = rng.integers(0, 5, 50).astype(float)
    second = first + rng.integers(0, 5, 50)
    assert mask_risk.rank_correlation(first, second) == pytest.approx(spearmanr(first, second).statistic)
    assert np.isnan(mask_risk.rank_correlation(np.ones(4), np.arange(4.0)))
