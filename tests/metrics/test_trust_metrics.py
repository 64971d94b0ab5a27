"""AUGRC, adaptive calibration error, out-of-distribution detection and shares of decisions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import roc_auc_score, roc_curve

from uml_tf.metrics import foreign_images
from uml_tf.metrics.adaptive_calibration import adaptive_calibration_error
from uml_tf.metrics.decisions import exact_interval
from uml_tf.metrics.generalized_risk import area_under_generalized_risk
from uml_tf.metrics.metric import METRICS


def test_augrc_by_hand():
    doubt, loss = np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.0, 1.0, 0.0, 0.0])
    # The share of all that is accepted and wrong: 0, 0, 1/4, 1/4, 1/4 at coverage 0, 1/4, ..., 1.
    assert area_under_generalized_risk(doubt, loss) == pytest.approx((1 / 8 + 1 / 4 + 1 / 4) / 4)


@pytest.mark.parametrize("levels", [5, 10_000])
def test_augrc_follows_from_accuracy_and_auroc(levels):
    rng = np.random.default_rng(0)
    correct = rng.random(300) < 0.7
    doubt = np.floor(levels * (rng.random(300) + 0.4 * ~correct)) / levels
    share, auroc = correct.mean(), roc_auc_score(~correct, doubt)
    expected = (1 - auroc) * share * (1 - share) + (1 - share) ** 2 / 2
    assert METRICS["class_augrc"].value(doubt, correct) == pytest.approx(expected)


def test_adaptive_calibration_error_by_hand():
    confidence = np.repeat([0.6, 0.9], 15)
    correct = np.concatenate([np.arange(15) < 6, np.arange(15) < 12])
    # Bins of two images; images of equal confidence share their number of correct ones: 0.4 and 0.8.
    middle = abs(0.4 + 0.8 - 0.6 - 0.9)
    assert adaptive_calibration_error(confidence, correct) == pytest.approx(
        (14 * 0.2 + middle + 14 * 0.1) / 30
    )
    shuffled = np.random.default_rng(0).permutation(30)
    same = adaptive_calibration_error(confidence[shuffled], correct[shuffled])
    assert same == pytest.approx(adaptive_calibration_error(confidence, correct))
    assert adaptive_calibration_error(np.array([0.7]), np.array([True])) == pytest.approx(0.3)


def test_a_calibrated_confidence_has_a_small_error():
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.5, 1, 20_000)
    assert adaptive_calibration_error(confidence, rng.random(20_000) < confidence) < 0.02


def test_foreign_images_are_told_as_scikit_learns_curve_says():
    rng = np.random.default_rng(0)
    foreign = np.arange(300) >= 200
    doubt = rng.normal(0, 1, 300) + 1.5 * foreign
    assert METRICS["ood_auroc"].value(doubt, foreign) == pytest.approx(roc_auc_score(foreign, doubt))
    wrong, kept, _ = roc_curve(~foreign, -doubt, drop_intermediate=False)
    assert foreign_images.accepted_foreign_share(doubt, foreign) == pytest.approx(wrong[kept >= 0.95].min())
    assert foreign_images.accepted_foreign_share(np.append(np.arange(20.0), 18.5), np.arange(21) == 20) == 0
    assert np.isnan(foreign_images.accepted_foreign_share(doubt[:9], foreign[:9]))


@pytest.mark.parametrize(("count", "total"), [(0, 7), (7, 7), (3, 40)])
def test_the_exact_interval_is_scipys(count, total):
    expected = binomtest(count, total).proportion_ci(0.95, "exact")
    assert exact_interval(count, total) == pytest.approx((expected.low, expected.high))


def test_shares_of_decisions():
    actions = np.array(["accept", "accept", "refer", "ungradable", "accept"], object)
    wrong = np.array([True, False, True, False, False])
    found = {}
    for name in ("accepted", "accepted_risk", "accepted_wrong", "referred", "ungradable"):
        part, whole = METRICS[name].part(actions, wrong), METRICS[name].whole(actions, wrong)
        found[name] = (part.sum(), whole.sum())
    assert found == {
        "accepted": (3, 5),
        "accepted_risk": (1, 3),
        "accepted_wrong": (1, 5),
        "referred": (1, 5),
        "ungradable": (1, 5),
    }


def test_the_rank_correlation_of_the_estimated_dice_by_hand():
    metric = METRICS["quality_rank_correlation"]
    estimated, dice = np.array([0.9, 0.8, 0.7, 0.6, 0.5]), np.array([0.95, 0.6, 0.7, 0.0, 0.1])
    # The ranks differ by 0, 1, 1, 1 and 1.
    assert metric.value(estimated, dice) == pytest.approx(1 - 6 * 4 / (5 * (5**2 - 1)))
    assert metric.value(estimated**3, dice) == pytest.approx(0.8)  # the scale does not count
    assert metric.value(estimated, -estimated) == pytest.approx(-1)
    # Two regions that were drawn and do not exist share a rank: 5, 4, 3, 1.5 and 1.5.
    assert metric.value(estimated, np.array([0.9, 0.8, 0.7, 0, 0])) == pytest.approx(9.5 / np.sqrt(10 * 9.5))
    assert np.isnan(metric.value(np.full(5, 0.8), dice))
