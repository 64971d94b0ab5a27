"""What is fitted after a training: density, temperatures and the choice of the confidence's score."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from small_networks import SIZE, random_images, random_network

from uml_tf.data.pipeline import Examples
from uml_tf.evaluation.keras_predictor import KerasPredictor
from uml_tf.runtime.confidence import Confidence
from uml_tf.runtime.evidence import Opinion
from uml_tf.training.confidence_fit import fit_confidence, fit_logistic, fit_mix, fit_temperature
from uml_tf.training.density_fit import fit_density, fit_gaussian, with_limit
from uml_tf.training.moments import Moments
from uml_tf.training.trust_fit import fit_trust, look


def test_a_temperature_is_found_again():
    rng = np.random.default_rng(0)
    true = rng.dirichlet([0.4] * 3, 6000)
    target = np.array([rng.choice(3, p=p) for p in true])
    sure = true**2.5 / (true**2.5).sum(axis=1, keepdims=True)
    assert fit_temperature(sure, target, 6000) == pytest.approx(2.5, rel=0.1)


def test_where_nothing_is_wrong_a_few_images_leave_the_temperature_near_1():
    probability = np.tile([0.9, 0.1], (20, 1))
    assert 0.4 < fit_temperature(probability, np.zeros(20, int), 20) < 1


def _scores(rng, count, informative):
    """Scores of answers whose chance of being right follows one of them."""
    scores = {name: rng.normal(0, 1, count) for name in ("largest", "entropy", "vacuity", "dissonance")}
    chance = 1 / (1 + np.exp(-2 * scores[informative] - 0.5))
    return scores, rng.random(count) < chance, chance


@pytest.mark.parametrize("informative", ["largest", "vacuity"])
def test_the_score_that_tells_errors_is_chosen_and_is_a_chance(informative):
    scores, right, chance = _scores(np.random.default_rng(1), 600, informative)
    found = fit_confidence(scores, right, np.arange(600), list(scores), [("largest", "entropy")])
    assert found.name == informative
    z = sum(scores[name] * weight for name, weight in found.weights.items()) + found.bias
    assert np.abs(1 / (1 + np.exp(-z)) - chance).mean() < 0.05


def test_the_chance_of_a_guess_is_fitted_around():
    rng = np.random.default_rng(8)
    score = rng.normal(0, 1, 20000)
    right = rng.random(20000) < 0.5 + 0.5 / (1 + np.exp(-2 * score + 1))
    weights, bias = fit_logistic(score[:, None], right, 0.5)
    assert weights[0] == pytest.approx(2, rel=0.1)
    assert bias == pytest.approx(-1, abs=0.1)


def test_answers_that_are_worse_than_a_guess_have_its_chance():
    rng = np.random.default_rng(9)
    score = rng.exponential(2, 400)
    right = rng.random(400) < np.where(score < 1, 0.2, 0.9)
    found = fit_mix({"largest": score}, right, 0.5)
    largest = np.linspace(0.5, 1, 50)
    opinion = Opinion(np.stack([largest, 1 - largest], axis=1), np.zeros((50, 2)), np.zeros((50, 1)))
    chance = found(opinion, {})[:, 0]
    assert (np.diff(chance) > 0).all()
    assert 0.5 <= chance[0] < 0.6
    assert fit_mix({"largest": score}, right)(opinion, {})[0, 0] < 0.4


@pytest.mark.parametrize("share", [0.3, 0.45])
def test_more_wrong_answers_than_a_guess_has_leave_no_step(share):
    rng = np.random.default_rng(10)
    score = np.sort(rng.exponential(1, 40))
    right = rng.random(40) < share * 2 * np.arange(40) / 40
    found = fit_mix({"largest": score}, right, 0.5)
    assert found.weights["largest"] * score.std() > 0.05
    chance = np.float32(
        found.least + (1 - found.least) / (1 + np.exp(-found.weights["largest"] * score - found.bias))
    )
    assert len(np.unique(chance)) == 40
    assert np.isfinite(found.bias)
    assert found.bias > -6


def test_a_mix_weighs_its_scores_by_what_they_tell_of_errors():
    rng = np.random.default_rng(6)
    scores = {name: rng.normal(0, 1, 8000) for name in ("navigator", "mutual", "surroundings")}
    right = rng.random(8000) < 1 / (1 + np.exp(-scores["navigator"] - 2 * scores["surroundings"]))
    found = fit_mix(scores, right)
    assert found.name == "navigator+mutual+surroundings"
    assert found.weights["navigator"] == pytest.approx(1, rel=0.1)
    assert found.weights["surroundings"] == pytest.approx(2, rel=0.1)
    assert 0 < found.weights["mutual"] < 0.1


def test_a_score_that_hardly_varies_gets_a_small_weight():
    rng = np.random.default_rng(7)
    scores = {"largest": rng.normal(0, 1, 500), "vacuity": np.full(500, -0.5) + rng.normal(0, 1e-7, 500)}
    right = rng.random(500) < 1 / (1 + np.exp(-scores["largest"]))
    assert 0 < fit_mix(scores, right).weights["vacuity"] < 20


@pytest.mark.parametrize(
    ("parts_off", "expected"),
    [
        ((), ("navigator", "mutual", "surroundings")),
        (("evidential",), ("largest", "vacuity", "mutual", "surroundings")),
    ],
)
def test_ten_masks_are_enough_for_the_confidence_of_pixels(parts_off, expected):
    model = random_network(2, 2, 3, *parts_off)
    rng = np.random.default_rng(0)
    found = {}
    for masks in (9, 10):
        has_mask = (np.arange(12) < masks).astype(np.float32)
        targets = rng.integers(0, 3, (12, *SIZE), np.uint8)
        labels = np.arange(12, dtype=np.int32) % 2
        examples = Examples(random_images(12).astype(np.uint8), labels, targets, has_mask, tuple(range(12)))
        model.card = replace(model.card, trust=replace(model.trust, mask_confidence=None))
        found[masks] = fit_trust(model, look(KerasPredictor(model), examples))
        assert found[masks].class_confidence == model.trust.class_confidence, "twelve labels are too few"
        # Of a pixel what lies around it may speak for another class: it may have less than a guess.
        assert masks == 9 or found[masks].mask_confidence.least == 0
    assert found[9].mask_confidence is None
    assert tuple(found[10].mask_confidence.weights) == expected
    assert found[10].mask_confidence.name == "+".join(expected)


def test_the_confidence_of_a_fitted_class_is_at_least_the_chance_of_a_guess():
    model = random_network(2, 3, 3)
    images = random_images(24).astype(np.uint8)
    labels = np.arange(24, dtype=np.int32) % 3
    masks = np.zeros((24, *SIZE), np.uint8)
    examples = Examples(images, labels, masks, np.zeros(24, np.float32), tuple(range(24)))
    found = fit_trust(model, look(KerasPredictor(model), examples))
    assert found.class_confidence.least == pytest.approx(1 / 3)


def test_a_confidence_of_an_earlier_version_rises_from_0():
    assert Confidence.from_dict({"name": "largest", "weights": {"largest": 1.0}, "bias": 0.5}).least == 0
    with pytest.raises(TypeError, match="later"):
        Confidence.from_dict({"name": "largest", "weights": {}, "bias": 0.5, "later": 1})


def test_without_a_clear_gain_the_largest_mean_probability_is_kept():
    scores, right, _ = _scores(np.random.default_rng(2), 60, "largest")
    scores["entropy"] = scores["largest"] + 0.01
    assert (
        fit_confidence(scores, right, np.arange(60), list(scores), [("largest", "vacuity")]).name == "largest"
    )


def test_a_score_that_misleads_is_not_chosen_and_still_ranks():
    rng = np.random.default_rng(3)
    score = rng.normal(size=500)
    right = rng.random(500) < 1 / (1 + np.exp(3 * score))
    weights, bias = fit_logistic(score[:, None], right)
    assert 0 < weights[0] < 0.02
    assert abs(bias) < 0.5
    other = {
        "largest": score,
        "dissonance": np.zeros(500),
    }  # a constant has the smaller loss, and ranks nothing
    assert fit_confidence(other, right, np.arange(500), list(other), []).name == "largest"


@pytest.mark.parametrize("count", [50, 400])
def test_the_density_tells_what_is_far_and_keeps_what_is_like(count):
    rng = np.random.default_rng(4)
    mixing = rng.normal(size=(20, 160))

    def like(number):
        return rng.normal(size=(number, 20)) @ mixing + rng.normal(0, 0.3, (number, 160)), rng.normal(
            0, 0.2, (number, 4)
        )

    density = fit_density([like(count)], like(60))
    held_back, blurred, other = like(300), like(300), like(300)
    blurred[1][:, :] -= 2.0  # the sharpness alone differs
    other[0][:] += rng.normal(0, 4.0, 160)
    assert (density.familiarity(*held_back) > 0.5).mean() > 0.97
    assert (density.familiarity(*blurred) < 0.5).all()
    assert (density.familiarity(*other) < 0.5).all()


def test_the_limit_lies_between_two_distances():
    vectors = np.random.default_rng(5).normal(size=(100, 6))
    gaussian = fit_gaussian(Moments.of(vectors))
    distance = np.sort(gaussian.distance(vectors)[:, 0].astype(float))
    assert with_limit(gaussian, vectors, 0.9).limit == pytest.approx((distance[89] + distance[90]) / 2)
    assert with_limit(gaussian, vectors, 1.0).limit > distance[-1]
