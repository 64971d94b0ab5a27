from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from uml_tf.metrics import calibration, classification, region_overlap, selective
from uml_tf.metrics.cup_to_disc import cup_to_disc_error, disc_missed
from uml_tf.metrics.masks import MaskPair, RegionPair
from uml_tf.metrics.outline import surface_distances
from uml_tf.metrics.ranking import area_under_roc
from uml_tf.runtime.cup_to_disc import vertical_cup_to_disc_ratio


def _ellipse(shape, parameters):
    cy, cx, ry, rx = parameters
    y, x = np.mgrid[: shape[0], : shape[1]]
    return ((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2 <= 1


def test_surface_metrics_are_medpys(reference):
    data = json.loads((reference / "surface_metrics.json").read_text())
    for case in data["cases"]:
        truth, predicted = (_ellipse(data["shape"], case[key]) for key in ("true", "pred"))
        pair = RegionPair(truth, predicted)
        plain = surface_distances(truth, predicted)
        spaced = surface_distances(truth, predicted, (0.5, 2.0))
        found = {
            "dice": region_overlap.dice(pair),
            "jaccard": region_overlap.intersection_over_union(pair),
            "assd": plain.assd,
            "assd_spacing_0.5_2": spaced.assd,
            "hd95": plain.hd95,
            "hd": plain.hd,
        }
        for name, value in found.items():
            assert value == pytest.approx(case[name], abs=1e-6), (case, name)


def test_empty_masks_follow_the_stated_rule():
    empty, full = np.zeros((30, 40), bool), np.zeros((30, 40), bool)
    full[5:9, 5:9] = True
    absent, missed = RegionPair(empty, full), RegionPair(full, empty)
    assert np.isnan(region_overlap.dice(absent))
    assert np.isnan(absent.surface.assd)
    assert region_overlap.dice(missed) == 0
    assert missed.surface.hd95 == 50
    assert region_overlap.false_positive_area(absent) == pytest.approx(16 / 1200)
    assert np.isnan(region_overlap.false_positive_area(RegionPair(full, full)))


def test_region_at_the_edge_of_the_image():
    a, b = np.zeros((20, 20), bool), np.zeros((20, 20), bool)
    a[:, :4], b[:, :6] = True, True
    assert surface_distances(a, b).hd == 2


@pytest.fixture
def classified():
    rng = np.random.default_rng(0)
    return rng.integers(0, 3, 200), rng.dirichlet(np.ones(3), 200)


def test_class_metrics_are_scikit_learns(classified):
    labels, probability = classified
    predicted = probability.argmax(1)
    m = classification
    assert m.accuracy(labels, probability) == pytest.approx(sk.accuracy_score(labels, predicted))
    assert m.balanced_accuracy(labels, probability) == pytest.approx(
        sk.balanced_accuracy_score(labels, predicted)
    )
    assert m.auc(labels, probability) == pytest.approx(
        sk.roc_auc_score(labels, probability, multi_class="ovr", average="macro")
    )
    f1 = sk.f1_score(labels, predicted, average="weighted")
    assert m.f1_weighted(labels, probability) == pytest.approx(f1)
    assert m.negative_log_likelihood(labels, probability) == pytest.approx(sk.log_loss(labels, probability))
    assert m.brier(labels, np.eye(3)[labels]) == 0


def test_ties_count_half_in_the_roc_area():
    rng = np.random.default_rng(1)
    positive, score = rng.uniform(size=300) < 0.3, rng.integers(0, 9, 300)
    assert area_under_roc(positive, score) == pytest.approx(sk.roc_auc_score(positive, score))


def test_auc_of_one_class_is_undefined():
    assert np.isnan(classification.auc(np.zeros(5, int), np.full((5, 2), 0.5)))


def test_calibration_error():
    confidence = np.full(1000, 0.8)
    right = np.arange(1000) < 800
    assert calibration.expected_calibration_error(confidence, right) == pytest.approx(0, abs=1e-9)
    assert calibration.expected_calibration_error(confidence, ~right) == pytest.approx(0.6)


def test_calibration_histograms_add_up():
    rng = np.random.default_rng(0)
    confidence, right = rng.random(600), rng.random(600) < 0.5
    parts = sum(calibration.calibration_histogram(confidence[i::3], right[i::3]) for i in range(3))
    np.testing.assert_allclose(parts, calibration.calibration_histogram(confidence, right))


def test_risk_coverage_by_hand():
    doubt = np.array([0.1, 0.2, 0.3, 0.4])
    correct = np.array([True, False, True, True])
    coverage, risk = selective.risk_coverage(doubt, correct)
    np.testing.assert_allclose(coverage, [0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(risk, [0, 1 / 2, 1 / 3, 1 / 4])
    assert selective.aurc(doubt, correct) == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 4) / 4)
    assert selective.excess_aurc(doubt, correct) == pytest.approx((1 / 2 + 1 / 3 + 1 / 4 - 1 / 4) / 4)


@given(st.integers(0, 1000))
def test_risk_coverage_does_not_depend_on_the_order_of_ties(seed):
    rng = np.random.default_rng(seed)
    doubt, correct = rng.integers(0, 4, 30) / 4, rng.random(30) < 0.7
    shuffled = rng.permutation(30)
    first = selective.risk_coverage(doubt, correct)[1]
    np.testing.assert_allclose(first, selective.risk_coverage(doubt[shuffled], correct[shuffled])[1])


def test_failure_detection():
    doubt = np.array([0.1, 0.2, 0.8, 0.9])
    assert selective.failure_detection_auroc(doubt, np.array([True, True, False, False])) == 1
    assert np.isnan(selective.failure_detection_auroc(doubt, np.ones(4, bool)))


def test_excess_aurc_of_a_perfect_score_is_zero():
    correct = np.array([True, False, True, True, False])
    assert selective.excess_aurc((~correct).astype(float), correct) == 0
    assert selective.excess_aurc(np.array([0, 3, 1, 2, 4.0]), correct) == 0


def test_cup_to_disc_ratio():
    names = ("background", "rim", "cup")
    mask = np.zeros((50, 50), np.uint8)
    assert vertical_cup_to_disc_ratio(mask, names) is None
    mask[10:30, 10:30] = 1
    assert vertical_cup_to_disc_ratio(mask, names) == 0
    mask[15:27, 15:25] = 2
    assert vertical_cup_to_disc_ratio(mask, names) == pytest.approx(12 / 20)
    assert vertical_cup_to_disc_ratio(mask, ("background", "lesion")) is None


def test_a_missed_disc_is_counted_and_not_silently_left_out():
    names = ("background", "rim", "cup")
    truth = np.zeros((50, 50), np.uint8)
    truth[10:30, 10:30], truth[15:25, 15:25] = 1, 2
    nothing = np.zeros_like(truth)
    found = truth.copy()
    found[15:17] = 1
    assert cup_to_disc_error(MaskPair(truth, found, names, {})) == pytest.approx(0.1)
    assert disc_missed(MaskPair(truth, found, names, {})) == 0
    assert np.isnan(cup_to_disc_error(MaskPair(truth, nothing, names, {})))
    assert disc_missed(MaskPair(truth, nothing, names, {})) == 1
    assert np.isnan(disc_missed(MaskPair(nothing, truth, names, {})))


def test_mean_dice_is_over_the_regions_that_are_there():
    empty, full = np.zeros((8, 8), bool), np.ones((8, 8), bool)
    half = np.arange(64).reshape(8, 8) < 32
    regions = {"a": RegionPair(full, full), "b": RegionPair(half, full), "c": RegionPair(empty, full)}
    masks = MaskPair(full, full, ("x", "y"), regions)
    assert region_overlap.mean_dice(masks) == pytest.approx((1 + 2 / 3) / 2)
    assert np.isnan(region_overlap.mean_dice(MaskPair(full, full, ("x", "y"), {"c": regions["c"]})))
