"""When a share of images is too small: judged by its interval, and by the answers that are accepted."""

from __future__ import annotations

import math

import numpy as np
import pytest

from uml_tf.export.agreement import Agreement
from uml_tf.export.tolerance import Tolerance
from uml_tf.metrics.ranking import rank_correlation, rank_correlation_interval
from uml_tf.metrics.wilson import wilson_interval
from uml_tf.runtime.model_card import ModelCard

CARD = ModelCard(image_classes=("a", "b"), pixel_classes=("c", "d"), accept_above=0.5)


def _outputs(classes, doubt):
    pixels = np.linspace(0.1, 0.9, 16, dtype=np.float32).reshape(1, 4, 4, 1).repeat(len(classes), axis=0)
    return {
        "class_probability": np.eye(2, dtype=np.float32)[classes],
        "class_belief": np.eye(2, dtype=np.float32)[classes] * (1 - np.asarray(doubt, np.float32)[:, None]),
        "class_uncertainty": np.asarray(doubt, np.float32)[:, None],
        "class_confidence": 1 - np.asarray(doubt, np.float32)[:, None],
        "familiarity": np.ones((len(classes), 1), np.float32),
        "mask_probability": np.concatenate([pixels, 1 - pixels], axis=-1),
        "mask_uncertainty": pixels,
        "mask_confidence": 1 - pixels,
    }


def _compared(count, accepted, flips, accepted_flips=0):
    """Numbers, and checks by name: the first images are accepted; the last ones flip, or the first."""
    doubt = np.where(np.arange(count) < accepted, 0.2, 0.8) + np.arange(count) * 1e-4
    classes = np.zeros(count, int)
    changed = classes.copy()
    changed[count - flips :] = 1
    changed[:accepted_flips] = 1
    agreement = Agreement(CARD)
    agreement.add(_outputs(classes, doubt), _outputs(changed, doubt))
    numbers, faults = agreement.numbers()
    numbers["drop_class_failure_auroc_confidence"] = None
    return numbers, {check.name: check for check in Tolerance().checks(numbers, faults)}


@pytest.mark.parametrize(
    ("count", "total", "low", "high"),
    [(52, 54, 0.8746, 0.9898), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (81, 263, 0.2553, 0.3662)],
)
def test_the_interval_is_wilsons(count, total, low, high):
    # The last row is the example of Newcombe, Statistics in Medicine 17 (1998), table I.
    assert wilson_interval(count, total) == pytest.approx((low, high), abs=1e-4)


def test_the_interval_of_a_rank_correlation_holds_the_true_one_as_often_as_it_says():
    rng = np.random.default_rng(0)
    held = []
    for _ in range(1000):
        first = rng.normal(size=30)
        second = 0.95 * first + math.sqrt(1 - 0.95**2) * rng.normal(size=30)
        low, high = rank_correlation_interval(rank_correlation(first, second), 30)
        # The population value of a bivariate normal distribution (Pearson, 1907).
        held.append(low <= 6 / math.pi * math.asin(0.95 / 2) <= high)
    assert 0.93 <= np.mean(held) <= 0.97
    # By hand: atanh(.982) = 2.350, half = 1.960 sqrt((1 + .982^2 / 2) / 8) = .844.
    assert rank_correlation_interval(0.982, 11) == pytest.approx((0.906, 0.9966), abs=1e-3)


@pytest.mark.parametrize(("true", "least", "most"), [(0.99, 0.05, 0.2), (0.97, 0.9, 1)])
def test_of_54_images_the_interval_refuses_few_files_at_the_bound_and_nearly_all_below(true, least, most):
    rng, slope = np.random.default_rng(1), 2 * math.sin(math.pi * true / 6)
    refused = []
    for _ in range(500):
        first = rng.normal(size=54)
        second = slope * first + math.sqrt(1 - slope**2) * rng.normal(size=54)
        high = rank_correlation_interval(rank_correlation(first, second), 54)[1]
        refused.append(high < Tolerance().class_rho)
    assert least <= np.mean(refused) <= most


def test_two_flips_of_54_that_nobody_accepts_are_kept():
    numbers, checks = _compared(54, 27, flips=2)
    assert (numbers["class_flips"], numbers["accepted_flips"]) == (2, 0)
    assert (numbers["images"], numbers["accepted_images"]) == (54, 27)
    assert checks["class_agreement"].found == pytest.approx(52 / 54)
    assert checks["class_agreement"].interval == pytest.approx((0.8746, 0.9898), abs=1e-4)
    assert all(check.kept for check in checks.values())


def test_two_flips_of_27_accepted_answers_are_refused():
    numbers, checks = _compared(54, 27, flips=0, accepted_flips=2)
    assert numbers["accepted_agreement"] == pytest.approx(25 / 27)
    assert [name for name, check in checks.items() if not check.kept] == ["accepted_agreement"]
    assert checks["accepted_agreement"].sentence() == (
        "accepted_agreement: found 0.9259 (95 % interval 0.7663 to 0.9794), expected at least 0.99"
    )
    assert _compared(54, 27, flips=0, accepted_flips=1)[1]["accepted_agreement"].kept


@pytest.mark.parametrize(
    ("count", "agreement"),
    [
        (100, 0.24),  # naive int8 of the published softplus, 100 images
        (100, 0.50),
        (150, 0.52),  # naive int8 of the phantom network
        (54, 0.926),  # today's int8 of a pretrained network, before its biases were corrected
    ],
)
def test_files_that_lose_classes_are_refused_whoever_accepts_them(count, agreement):
    _, checks = _compared(count, 0, flips=round(count * (1 - agreement)))
    assert not checks["class_agreement"].kept
    assert checks["accepted_agreement"].kept, "nothing is accepted"
    assert checks["accepted_agreement"].found is None


def test_a_changed_decision_changes_the_accepted_answer():
    doubt = np.linspace(0.2, 0.8, 20)
    other = np.where(np.abs(doubt - 0.5) < 0.12, 1 - doubt, doubt)
    zeros = np.zeros(20, int)
    agreement = Agreement(CARD)
    agreement.add(_outputs(zeros, doubt), _outputs(zeros, other))
    numbers, _ = agreement.numbers()
    changed = int(((doubt <= 0.5) != (other <= 0.5)).sum())
    assert changed > 0
    assert numbers["class_flips"] == 0
    assert numbers["accepted_flips"] == changed
    assert numbers["accepted_images"] == ((doubt <= 0.5) | (other <= 0.5)).sum()


def test_confidences_that_differ_are_refused_though_every_rank_is_kept():
    doubt = np.linspace(0.6, 0.9, 20)
    network, file = _outputs(np.zeros(20, int), doubt), _outputs(np.zeros(20, int), doubt)
    file["class_confidence"] = network["class_confidence"] + np.float32(0.03)
    file["mask_confidence"] = network["mask_confidence"] * np.float32(0.97)
    agreement = Agreement(CARD)
    agreement.add(network, file)
    numbers, faults = agreement.numbers()
    assert numbers["class_confidence_mean_difference"] == pytest.approx(0.03, abs=1e-6)
    assert numbers["mask_confidence_mean_difference"] == pytest.approx(0.015, abs=1e-6)
    numbers["drop_class_failure_auroc_confidence"] = None
    broken = [check.name for check in Tolerance().checks(numbers, faults) if not check.kept]
    assert broken == ["class_confidence_difference", "mask_confidence_difference"]


def test_tightened_bounds_are_nearer_to_perfect_agreement():
    found = Tolerance().tightened(0.5)
    assert (found.class_rho, found.class_difference) == pytest.approx((0.995, 0.005))
    assert found.accepted_agreement == pytest.approx(0.995)
