"""Mask quality and intervals: fitted on masks whose errors are known."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from uml_tf.metrics.ranking import rank_correlation
from uml_tf.runtime.evidence import opinion_from_concentration
from uml_tf.runtime.intervals import RATIO, Interval, area_name, intervals_around
from uml_tf.runtime.mask_quality import DiceFit, evidence_scale, expected_dice, mask_quality, outline
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


def _expected(probability, members):
    return expected_dice(probability, probability.argmax(axis=-1), members)


def test_the_expected_dice_is_that_of_the_masks_of_random_thresholds():
    probability, _ = _discs(1.5, 0)
    inside = probability.argmax(axis=-1) > 0
    own = probability[..., 1:].sum(axis=-1)
    drawn = own > np.random.default_rng(0).random((400, 1, 1))
    dice = 2 * (drawn & inside).sum(axis=(1, 2)) / (drawn.sum(axis=(1, 2)) + inside.sum())
    assert _expected(probability, [1, 2]) == pytest.approx(dice.mean(), abs=0.01)
    assert _expected(probability * [1, 0, 0], [1, 2]) is None
    assert _expected(np.eye(3)[inside.astype(int)], [1]) == 1


def test_a_little_probability_everywhere_is_no_doubt_about_a_small_region():
    probability, _ = _discs(0.3, 0)
    faint = 0.97 * probability + 0.01
    assert _expected(faint, [1, 2]) > _expected(probability, [1, 2]) - 0.04


def _maps(alpha):
    return {f"mask_{name}": value for name, value in opinion_from_concentration(alpha)._asdict().items()}


def test_evidence_tells_what_one_probability_hides():
    maps = _maps(np.array([[[1.0, 3.0], [10.0, 30.0]]]))
    found = outline(maps, 4.0)
    np.testing.assert_allclose(found[0, :, 1], 1 / (1 + np.exp([-0.5, -5.0])))
    np.testing.assert_allclose(found.sum(axis=-1), 1)
    assert outline(maps, None) is maps["mask_probability"]


def test_the_scale_of_evidence_is_that_of_the_head_that_draws_the_mask():
    assert evidence_scale(True, 1.0) == 4
    assert evidence_scale(True, 0.1) == pytest.approx(
        40
    )  # whose belief and uncertainty tell ten times as much
    assert evidence_scale(False, 1.0) is None


@pytest.mark.parametrize("scale", [None, 4.0])
def test_a_region_is_estimated_from_what_its_fit_was_fitted_on(scale):
    rng = np.random.default_rng(7)
    maps = _maps(rng.gamma(1, 8, (16, 16, 3)) + 1)
    drawn = maps["mask_probability"].argmax(axis=-1)
    fits = with_mask_fits(CARD, [(maps, rng.integers(0, 3, (16, 16)))] * 5, scale).mask_quality
    assert {fit.evidence_scale for fit in fits.values()} == {scale}
    expected = expected_dice(outline(maps, scale), drawn, [1, 2])
    found = mask_quality(maps, {"rim": [1], "cup": [2], "disc": [1, 2]}, fits)
    assert found["disc"] == pytest.approx(float(fits["disc"](expected)))


def test_a_fit_of_probabilities_that_few_masks_left_has_no_part_in_intervals_of_evidence():
    rng = np.random.default_rng(8)
    alpha = np.ones((SIZE, SIZE, 3))
    alpha[..., 0] += 5
    alpha[10:30, 10:30, 1] += rng.gamma(2, 8, (20, 20))  # a rim and no cup
    seen = [(_maps(alpha), (alpha.argmax(axis=-1) > 0).astype(np.uint8))] * 12
    before = replace(CARD, mask_quality={"cup": DiceFit(1.0, 0.0, 9)}, intervals={RATIO: Interval(0.2, 9)})
    after = with_mask_fits(before, seen, 4.0)
    assert after.mask_quality["cup"] == before.mask_quality["cup"]
    assert after.mask_quality["disc"].evidence_scale == 4
    assert area_name("cup") not in after.intervals
    assert after.intervals[RATIO] == before.intervals[RATIO]
    assert after.intervals[area_name("disc")].images == 12


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
    card = with_mask_fits(CARD, _seen(60, rng), None)
    held, widths, estimated, dice = [], [], [], []
    for maps, mask in _seen(150, rng):
        case = mask_case(maps, None, mask, card)
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
    maps = {"mask_probability": probability}
    case = mask_case(maps, None, np.zeros_like(mask), CARD)
    assert case.dice == {"rim": 0, "cup": 0, "disc": 0}
    assert case.ratios[1] is None
    unknown = mask_case(maps, None, np.full_like(mask, 255), CARD)
    assert unknown.areas["disc"] == (0, 0)


def test_too_few_masks_leave_what_was_fitted_before():
    before = with_mask_fits(CARD, _seen(20, np.random.default_rng(3)), None)
    assert before.intervals[RATIO].images == 20
    assert with_mask_fits(before, _seen(3, np.random.default_rng(4)), None) == before
    assert with_mask_fits(before, [], None) is before


def test_the_prediction_says_quality_and_intervals_and_the_card_survives_json():
    card = with_mask_fits(CARD, _seen(12, np.random.default_rng(5)), None)
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
