"""Differences between two models on the same images, and what they show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from image_measures import measure, random_measures, two_class_measures

from uml_tf.evaluation.comparison import as_markdown, differences
from uml_tf.evaluation.non_inferiority import least_subjects, parse_margins, shortfalls
from uml_tf.metrics.error_histogram import BINS
from uml_tf.runtime.errors import UmlError

MARGINS = {"balanced_accuracy": 0.05, "class_failure_auroc_confidence": 0.1, "mean_dice": 0.03}


def _drawn(seed, images=200):
    rng = np.random.default_rng(seed)
    return rng.uniform(size=images) < 0.9, rng.uniform(0.6, 0.9, images), rng


def _by_name(found):
    return {difference.metric: difference for difference in found}


def test_a_difference_that_chance_explains_is_none():
    correct, dice, rng = _drawn(0)
    first = two_class_measures(correct, dice)
    flipped = correct.copy()
    flipped[np.flatnonzero(correct)[:2]] = False
    flipped[np.flatnonzero(~correct)[:1]] = True
    found = differences(first, two_class_measures(flipped, dice + rng.normal(0, 0.05, 200)))
    assert _by_name(found)["balanced_accuracy"].verdict == "not clearly different"
    assert not shortfalls(found, MARGINS)


def test_a_small_but_certain_loss_counts_and_a_gain_does_not():
    correct, dice, _ = _drawn(1)
    first, worse = two_class_measures(correct, dice), two_class_measures(correct, dice - 0.04)
    lost = differences(first, worse)
    (reason,) = shortfalls(lost, MARGINS)
    assert reason.startswith("mean_dice: found a change of -0.0400")
    gained = differences(worse, first)
    assert _by_name(gained)["mean_dice"].verdict == "better"
    assert not shortfalls(gained, MARGINS)


def test_a_certain_loss_smaller_than_the_margin_is_accepted_and_named_worse():
    correct, dice, _ = _drawn(1)
    found = differences(two_class_measures(correct, dice), two_class_measures(correct, dice - 0.02))
    assert _by_name(found)["mean_dice"].verdict == "worse"
    assert not shortfalls(found, MARGINS)
    assert shortfalls(found, {**MARGINS, "mean_dice": 0.01})


def test_where_lower_is_better_a_fall_is_a_gain():
    confident = [measure(i, i % 2, [8, 0.1] if i % 2 == 0 else [0.1, 8]) for i in range(60)]
    vague = [measure(i, i % 2, [1.5, 1] if i % 2 == 0 else [1, 1.5]) for i in range(60)]
    found = _by_name(differences(vague, confident))
    for metric in ("brier", "nll", "ece"):
        assert found[metric].change.value < 0
        assert found[metric].verdict == "better"
    assert _by_name(differences(confident, vague))["brier"].verdict == "worse"


def test_few_images_show_nothing_even_where_both_models_are_equal():
    correct, dice, _ = _drawn(2, images=40)
    measures = two_class_measures(correct, dice)
    reasons = shortfalls(differences(measures, measures), MARGINS)
    assert "balanced_accuracy: found 40 subjects, expected at least 72 for a margin of 0.05" in reasons
    assert "mean_dice: found 40 subjects, expected at least 122 for a margin of 0.03" in reasons


def test_images_of_few_subjects_are_few():
    correct, dice, _ = _drawn(3)
    subjects = [f"patient {i // 10}" for i in range(200)]
    measures = two_class_measures(correct, dice, subjects)
    reasons = shortfalls(differences(measures, measures), MARGINS)
    assert any("found 20 subjects" in reason for reason in reasons)


def test_the_change_of_a_few_patients_is_not_shown_by_their_many_images():
    """A loss in all images of 30 of 150 patients; by single images it would look certain to be small."""
    images = np.arange(600)
    correct, dice = images % 10 != 0, np.full(600, 0.8)
    lost = dice - np.where(images // 4 < 30, 0.12, 0.0)
    subjects = [f"patient {i // 4}" for i in images]
    by_subject = differences(*(two_class_measures(correct, d, subjects) for d in (dice, lost)))
    by_image = differences(*(two_class_measures(correct, d) for d in (dice, lost)))
    for found in (by_subject, by_image):
        assert _by_name(found)["mean_dice"].change.value == pytest.approx(-0.024)
    assert not shortfalls(by_image, {"mean_dice": 0.03})
    (reason,) = shortfalls(by_subject, {"mean_dice": 0.03})
    assert "found a change of -0.0240, 95 % interval -0.03" in reason


def test_a_failure_detection_that_rests_on_one_wrong_class_is_not_enough():
    correct = np.arange(200) != 17
    measures = two_class_measures(correct, np.full(200, 0.8))
    found = differences(measures, measures)
    (reason,) = shortfalls(found, {"class_failure_auroc_confidence": 0.1})
    assert "undefined on 3" in reason
    assert not shortfalls(found, {"class_failure_auroc_confidence": 1.0})  # anything may be lost


def _doubting(correct, confident, uncertain):
    """Images whose confidence, or else uncertainty, tells the wrong classes apart."""
    rng = np.random.default_rng(4)
    found = []
    for m, right in zip(two_class_measures(correct, correct), correct, strict=True):
        told = (0.9 if right else 0.6) + rng.uniform(-0.01, 0.01)
        vague = rng.uniform(0.6, 0.9)
        confidence, certainty = (told if one else vague for one in (confident, uncertain))
        found.append(replace(m, class_confidence=confidence, class_uncertainty=1 - certainty))
    return found


def test_a_promotion_is_decided_by_the_confidence_and_not_by_the_uncertainty():
    correct, _, _ = _drawn(6)
    by_both, by_confidence, by_uncertainty = (
        _doubting(correct, *told) for told in ((True, True), (True, False), (False, True))
    )
    lost = _by_name(differences(by_both, by_confidence))["class_failure_auroc"]
    assert lost.verdict == "worse"
    assert not shortfalls(differences(by_both, by_confidence), MARGINS)
    (reason,) = shortfalls(differences(by_both, by_uncertainty), MARGINS)
    assert reason.startswith("class_failure_auroc_confidence: found a change of -0.")


def test_a_model_that_reports_no_confidence_is_judged_by_its_largest_probability():
    """As measures of an older uml-tf, or outputs without a confidence, leave it."""
    found = _by_name(differences(random_measures(seed=0), random_measures(seed=1)))
    by_confidence, by_largest = (
        found[f"class_failure_auroc_{score}"] for score in ("confidence", "max_probability")
    )
    assert by_confidence.first == by_largest.first > 0.5
    assert by_confidence.change == by_largest.change


def test_a_metric_that_is_undefined_is_not_tested_but_something_must_be():
    correct, _, _ = _drawn(5)
    unmasked = [measure(i, m.label, m.belief * 9) for i, m in enumerate(two_class_measures(correct, correct))]
    found = differences(unmasked, unmasked)
    assert "mean_dice" not in _by_name(found)
    assert not shortfalls(found, MARGINS)
    unlabelled = [measure(i, -1, [1, 1]) for i in range(200)]
    (reason,) = shortfalls(differences(unlabelled, unlabelled), MARGINS)
    assert "expected at least one of them" in reason


def test_values_that_one_model_lacks_are_left_out_for_both():
    values = [({"cup_to_disc_error": 0.1}, {"cup_to_disc_error": 0.2}) for _ in range(5)]
    values[0] = ({"cup_to_disc_error": 0.9}, {"cup_to_disc_error": float("nan")})
    first, second = ([measure(i, 0, [2, 1], values=v[k]) for i, v in enumerate(values)] for k in (0, 1))
    found = _by_name(differences(first, second))["cup_to_disc_error"]
    assert (found.first, found.second) == (pytest.approx(0.1), pytest.approx(0.2))
    assert found.change.images == 4
    assert found.verdict == "worse"


def test_every_metric_of_an_evaluation_is_compared_the_decisive_ones_first():
    rng = np.random.default_rng(0)
    counts = {"mask_ece": rng.random((15, 3)), "errors_by_vacuity": rng.random((BINS, 2))}
    values = {"dice_lesion": 0.5, "hd95_lesion": 3.0, "mean_dice": 0.5}
    one = [measure(i, i % 3, rng.gamma(1, 2, 3), values=values, counts=counts) for i in range(30)]
    found = differences(one, one)
    assert [d.metric for d in found[:3]] == list(MARGINS)
    names = {d.metric for d in found}
    assert {"hd95_lesion", "mask_ece", "mask_uncertainty_error_overlap", "class_aurc_entropy"} <= names
    table = as_markdown(found, ("A", "B"))
    assert table.count("\n") == len(found) + 2
    assert "| mean_dice | 0.5000 | 0.5000 | +0.0000 | +0.0000 to +0.0000 | not clearly different |" in table


def test_two_models_of_random_measures_differ_by_their_metrics():
    first, second = random_measures(seed=0), random_measures(seed=1)
    for d in differences(first, second):
        assert d.change.value == pytest.approx(d.second - d.first)
        assert d.change.low <= d.change.value <= d.change.high


@pytest.mark.parametrize(("margin", "least"), [(0.05, 72), (0.1, 36), (0.03, 122), (0.0, 1), (1.0, 1)])
def test_least_subjects(margin, least):
    assert least_subjects("mean_dice", margin) == least
    if 0 < margin < 1:
        assert (1 - margin) ** least <= 0.025 < (1 - margin) ** (least - 1)


def test_margins_are_those_of_the_registry_but_where_they_are_given():
    assert parse_margins([]) == MARGINS
    assert parse_margins(["mean_dice=.2", "balanced_accuracy=0"]) == {
        **MARGINS,
        "mean_dice": 0.2,
        "balanced_accuracy": 0,
    }


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("auc=0.1", "one of balanced_accuracy, class_failure_auroc_confidence, mean_dice"),
        ("class_failure_auroc=0.1", "NAME=VALUE with one of balanced_accuracy, class_failure_auroc_conf"),
        ("mean_dice", "a number of at least 0"),
        ("mean_dice=nan", "a number of at least 0"),
        ("mean_dice=inf", "a number of at least 0"),
        ("mean_dice=-0.1", "a number of at least 0"),
    ],
)
def test_a_margin_that_would_pass_everything_is_refused(entry, expected):
    with pytest.raises(UmlError, match=f"--margin: found '{entry}'.*{expected}"):
        parse_margins([entry])
