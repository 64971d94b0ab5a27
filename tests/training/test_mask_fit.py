"""Mask quality and intervals: fitted on masks whose errors are known."""

from __future__ import annotations

import json

import numpy as np
import pytest

from uml_tf.metrics.ranking import rank_correlation
from uml_tf.runtime.evidence import opinion_from_concentration
from uml_tf.runtime.intervals import RATIO, Interval, area_name, intervals_around
from uml_tf.runtime.mask_quality import DiceFit, expected_dice, mask_basis, mask_quality, outline
from uml_tf.runtime.model_card import ModelCard
from uml_tf.runtime.placement import place
from uml_tf.runtime.prediction import interpret
from uml_tf.training.mask_fit import conformal_interval, fit_dice, mask_case, with_mask_fits

CARD = ModelCard(("a", "b"), ("background", "rim", "cup"), {"disc": ("rim", "cup")})
SIZE = 48


def _discs(blur, shift):
    """Probability ``(H, W, 3)`` of a cup in a disc whose outlines are as soft as ``blur``, and a true mask.

    The true disc lies beside the predicted one by ``shift`` pixels.
    """
    rows, columns = np.mgrid[:SIZE, :SIZE] - SIZE / 2

    def inside(radius, moved):
        return radius - np.hypot(rows, columns - moved)

    disc, cup = (1 / (1 + np.exp(-inside(radius, 0) / blur)) for radius in (16, 8))
    cup = np.minimum(cup, disc)
    mask = (inside(16, shift) > 0).astype(np.uint8) + (inside(8, shift) > 0)
    return np.stack([1 - disc, disc - cup, cup], axis=-1), mask


def _seen(count, rng):
    """Masks whose error grows with the blur of their outlines."""
    for _ in range(count):
        blur = rng.uniform(0.3, 3)
        probability, mask = _discs(blur, round(rng.normal(0, 1.5) * blur))
        yield {"mask_probability": probability}, mask


def test_the_expected_dice_is_that_of_the_masks_of_random_thresholds():
    probability, _ = _discs(1.5, 0)
    inside = probability.argmax(axis=-1) > 0
    own = probability[..., 1:].sum(axis=-1)
    drawn = own > np.random.default_rng(0).random((400, 1, 1))
    dice = 2 * (drawn & inside).sum(axis=(1, 2)) / (drawn.sum(axis=(1, 2)) + inside.sum())
    assert expected_dice(probability, [1, 2]) == pytest.approx(dice.mean(), abs=0.01)
    assert expected_dice(probability * [1, 0, 0], [1, 2]) is None
    assert expected_dice(np.eye(3)[inside.astype(int)], [1]) == 1


def test_a_little_probability_everywhere_is_no_doubt_about_a_small_region():
    probability, _ = _discs(0.3, 0)
    faint = 0.97 * probability + 0.01
    assert expected_dice(faint, [1, 2]) > expected_dice(probability, [1, 2]) - 0.04


def test_evidence_tells_what_one_probability_hides():
    alpha = np.array([[[1.0, 3.0], [10.0, 30.0]]])
    opinion = opinion_from_concentration(alpha)
    maps = {
        "mask_probability": opinion.probability,
        "mask_belief": opinion.belief,
        "mask_uncertainty": opinion.uncertainty,
    }
    of_evidence = outline(maps, "evidence")
    np.testing.assert_allclose(of_evidence[0, :, 1], 1 / (1 + np.exp([-0.5, -5.0])))
    np.testing.assert_allclose(of_evidence.sum(axis=-1), 1)
    assert (of_evidence.argmax(axis=-1) == opinion.probability.argmax(axis=-1)).all()
    assert outline(maps, "probability") is opinion.probability
    assert (mask_basis(True), mask_basis(False)) == ("evidence", "probability")


def test_a_region_is_estimated_on_the_basis_that_its_fit_has():
    rng = np.random.default_rng(7)
    opinion = opinion_from_concentration(rng.gamma(1, 8, (16, 16, 3)) + 1)
    maps = {f"mask_{name}": value for name, value in opinion._asdict().items()}
    seen = [(maps, rng.integers(0, 3, (16, 16)))] * 5
    members = {"rim": [1], "cup": [2], "disc": [1, 2]}
    for basis in ("probability", "evidence"):
        fits = with_mask_fits(CARD, seen, basis).mask_quality
        assert {fit.basis for fit in fits.values()} == {basis}
        expected = expected_dice(outline(maps, basis), [1, 2])
        assert mask_quality(maps, members, fits)["disc"] == pytest.approx(float(fits["disc"](expected)))


def test_a_fit_brings_the_expected_dice_to_the_scale_of_the_true_one():
    rng = np.random.default_rng(1)
    true = rng.uniform(0.5, 0.98, 200)
    expected = true**0.5
    fit = fit_dice(expected, np.clip(true + rng.normal(0, 0.02, 200), 0, 1))
    assert np.abs(expected - true).mean() > 0.1
    assert np.abs(fit(expected) - true).mean() < 0.02
    assert (np.diff(fit(np.sort(expected))) > 0).all()


def test_a_fit_on_a_single_image_stays_near_the_expected_dice():
    fit = fit_dice(np.array([0.8]), np.array([0.78]))
    assert fit(0.8) == pytest.approx(0.78, abs=0.02)
    assert fit(0.95) == pytest.approx(0.95, abs=0.02)


def test_the_quantile_is_that_of_the_finite_sample():
    errors = np.arange(1.0, 20.0)
    assert conformal_interval(errors, np.full(19, 2.0)) == Interval(9.0, 19)  # the 18th of 19, divided by 2
    assert conformal_interval(np.ones(9), np.ones(9)).quantile == 1
    few = conformal_interval(np.ones(8), np.ones(8))
    assert few == Interval(None, 8)
    assert few.around(0.5, 0.1, 1.0) is None


def test_intervals_hold_the_true_value_as_often_as_they_say_and_follow_the_doubt():
    rng = np.random.default_rng(2)
    card = with_mask_fits(CARD, _seen(60, rng), "probability")
    held, widths, estimated, dice = [], [], [], []
    for maps, mask in _seen(150, rng):
        case = mask_case(maps["mask_probability"], mask, card)
        quality = {name: float(fit(case.expected[name])) for name, fit in card.mask_quality.items()}
        areas = {name: predicted for name, (predicted, _) in case.areas.items()}
        found = intervals_around(card.intervals, quality, areas, case.ratios[0], mask.size)
        low, high = found[RATIO]
        held.append(low <= case.ratios[1] <= high)
        widths.append(found[area_name("disc")][1] - found[area_name("disc")][0])
        estimated.append(quality["disc"])
        dice.append(case.dice["disc"])
    assert 0.8 <= np.mean(held) <= 1
    assert np.abs(np.subtract(estimated, dice)).mean() < 0.12
    assert rank_correlation(np.array(estimated), np.array(dice)) > 0.5
    assert rank_correlation(np.array(estimated), np.array(widths)) < -0.9


def test_a_region_that_is_not_there_got_a_dice_of_0():
    probability, mask = _discs(1.0, 0)
    case = mask_case(probability, np.zeros_like(mask), CARD)
    assert case.dice == {"rim": 0, "cup": 0, "disc": 0}
    assert case.ratios[1] is None
    unknown = mask_case(probability, np.full_like(mask, 255), CARD)
    assert unknown.areas["disc"] == (0, 0)


def test_too_few_masks_leave_what_was_fitted_before():
    before = with_mask_fits(CARD, _seen(20, np.random.default_rng(3)), "probability")
    assert before.intervals[RATIO].images == 20
    assert with_mask_fits(before, _seen(3, np.random.default_rng(4)), "probability") == before
    assert with_mask_fits(before, [], "probability") is before


def test_the_prediction_says_quality_and_intervals_and_the_card_survives_json():
    card = with_mask_fits(CARD, _seen(12, np.random.default_rng(5)), "probability")
    card = ModelCard.from_dict(json.loads(json.dumps(card.to_dict())))
    assert isinstance(card.mask_quality["disc"], DiceFit)
    probability, _ = _discs(1.0, 0)
    even = np.full(2, 0.5)
    outputs = {
        "class_probability": even,
        "class_belief": even * 0,
        "mask_probability": probability.astype(np.float32),
        "mask_belief": np.zeros_like(probability, np.float32),
        **{name: np.ones((SIZE, SIZE, 1), np.float32) for name in ("mask_uncertainty", "mask_confidence")},
        **{name: np.ones(1) for name in ("class_uncertainty", "class_confidence", "familiarity")},
    }
    found = interpret(outputs, place("stretch", (96, 96), (SIZE, SIZE)), card).to_dict("i.png")
    assert set(found["mask_quality"]) == {"rim", "cup", "disc"}
    assert 0.5 < found["mask_quality"]["disc"] < 1
    low, high = found[f"{RATIO}_interval"]
    assert 0 <= low < found[RATIO] < high <= 1
    low, high = found["pixels"]["disc"]["area_interval"]
    assert low < found["pixels"]["disc"]["area"] < high
    without = interpret(outputs, place("stretch", (96, 96), (SIZE, SIZE)), CARD).to_dict("i.png")
    assert "mask_quality" not in without
    assert "area_interval" not in without["pixels"]["disc"]
