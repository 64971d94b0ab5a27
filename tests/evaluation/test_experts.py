"""Doubt where experts disagree: pixels, images by their masks, and images by their grades."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from image_measures import measure
from scipy.stats import spearmanr

from uml_tf.data.agreement import decode_agreement, encode_agreement
from uml_tf.data.dataset import DatasetInfo, Row
from uml_tf.evaluation.expert_pixels import experts_seen
from uml_tf.evaluation.experts import COLUMNS, experts_agreement, experts_markdown
from uml_tf.evaluation.measure import measure_image
from uml_tf.evaluation.measures_file import load_measures, save_measures
from uml_tf.evaluation.summary import as_json, as_markdown, estimates_of, summarise
from uml_tf.metrics.grades import FEWEST_IMAGES, grade_disagreement
from uml_tf.metrics.scores import SCORES, reported_name

INFO = DatasetInfo(name="d", image_classes=("a", "b"), pixel_classes=("background", "rim", "cup"))
SIZE = 64


def _image(spread, honest, rng):
    """Outputs, the majority's mask and the agreement of four experts whose discs differ by ``spread``."""
    rows, columns = np.mgrid[:SIZE, :SIZE] - SIZE / 2
    distance = np.hypot(rows, columns)
    radii = 18 + spread * np.array([-1.5, -0.5, 0.5, 1.5])
    marks = np.stack([(distance < r).astype(int) + (distance < r - 9) for r in radii])
    shares = np.stack([(marks == c).mean(axis=0) for c in range(3)], axis=-1)
    own = shares if honest else np.roll(shares, 20, axis=0)
    probability = 0.85 * own + 0.05
    probability += rng.uniform(0, 0.002, probability.shape)
    probability /= probability.sum(axis=-1, keepdims=True)
    outputs = {
        "class_probability": np.array([0.5, 0.5]),
        "class_belief": np.array([0.2, 0.2]),
        "class_uncertainty": np.array([0.6]),
        "mask_probability": probability,
        "mask_belief": probability * 0.9,
        "mask_uncertainty": np.full((SIZE, SIZE, 1), 0.1),
    }
    agreement = decode_agreement(encode_agreement(shares), 3)
    return outputs, shares.argmax(axis=-1).astype(np.uint8), agreement


def _measures(honest, count=6):
    rng = np.random.default_rng(0)
    found = []
    for number, spread in enumerate(np.linspace(0.5, 3, count)):
        outputs, mask, agreement = _image(spread, honest, rng)
        row = Row(f"{number}.png", "m.png", "a", "test", f"s{number}")
        found.append(measure_image(row, 0, outputs, mask, INFO, agreement=agreement))
    return found


def test_a_model_that_doubts_what_experts_dispute_is_told_from_one_that_does_not(tmp_path):
    measures = _measures(honest=True)
    save_measures(tmp_path / "m.npz", measures)
    honest = experts_agreement(load_measures(tmp_path / "m.npz"))
    other = np.mean([m.experts["max_probability/auroc"] for m in _measures(honest=False, count=3)])
    ranks, area, images = honest["max_probability"]
    assert ranks.value > 0.6
    assert area.value > 0.95
    assert images.value > 0.95
    assert images.images == 6
    assert other < 0.8
    text = experts_markdown(honest)
    assert "6 images" in text
    assert all(column in text for column in COLUMNS)


def test_without_experts_nothing_is_said():
    outputs, mask, _ = _image(1, True, np.random.default_rng(1))
    plain = measure_image(Row("a.png", "m.png", "a", "test", ""), 0, outputs, mask, INFO)
    assert plain.experts == {}
    assert experts_markdown(experts_agreement([plain])) == ""
    assert experts_seen(np.eye(3)[np.zeros(9, int)], np.zeros(9, int), {}) == {}


def test_unanimous_experts_have_no_disagreement_to_find():
    shares, predicted = np.eye(3)[np.ones(20, int)], np.ones(20, int)
    found = experts_seen(shares, predicted, {"vacuity": np.linspace(0, 1, 20)})
    assert found["disagreement"] == pytest.approx(0)
    assert np.isnan(found["vacuity/auroc"])


# Grades of the class

RANKED = "class_disagreement_rank_correlation"


def _graded(counts, evidence, confidence, masked=False):
    """Images that so many experts gave each class, with this evidence and confidence of a model."""
    found = []
    for n, (grades, one, sure) in enumerate(zip(counts, evidence, confidence, strict=True)):
        plain = measure(n, n % 2, one, f"s{n // 2}", {"mean_dice": 0.5} if masked else None)
        found.append(replace(plain, class_confidence=sure, grade_disagreement=grade_disagreement(grades)))
    return found


def test_disagreement_is_the_share_that_differs_from_most():
    assert grade_disagreement((5, 0)) == 0
    assert grade_disagreement((2, 3)) == grade_disagreement((3, 2)) == pytest.approx(0.4)
    assert grade_disagreement((1, 1, 2)) == 0.5
    assert all(np.isnan(grade_disagreement(counts)) for counts in ((), (1, 0)))  # nobody can disagree


def test_doubt_about_the_class_is_correlated_with_the_split_of_the_grades(tmp_path):
    counts = [(5, 0), (4, 1), (3, 2), (0, 5), (1, 4), (2, 3), (6, 0), (3, 3)]
    split = [0, 0.2, 0.4, 0, 0.2, 0.4, 0, 0.5]
    # Less evidence the more they disagree; the confidence does not follow.
    evidence = [(9, 0), (5, 1), (2, 1), (0, 9), (1, 5), (1, 2), (9, 0), (0.5, 0.5)]
    confidence = [0.7, 0.9, 0.8, 0.6, 0.95, 0.5, 0.85, 0.75]
    ungraded = [measure(f"u{n}", n % 2, (1, n), "") for n in range(4)]
    measures = [*ungraded[:2], *_graded(counts, evidence, confidence), *ungraded[2:]]
    save_measures(tmp_path / "m.npz", measures)
    found = summarise(load_measures(tmp_path / "m.npz"))
    told = json.loads(json.dumps(as_json(found), allow_nan=False))
    assert told[RANKED]["value"] == pytest.approx(1)
    assert told[RANKED]["low"] == pytest.approx(1)
    assert (told[RANKED]["images"], told[RANKED]["subjects"]) == (8, 4)
    expected = spearmanr(1 - np.array(confidence), split).statistic
    sure = told[f"{RANKED}_confidence"]
    assert abs(expected) < 0.4
    assert sure["value"] == pytest.approx(expected)
    assert sure["low"] < expected < sure["high"]
    assert {reported_name(RANKED, score) for score in SCORES} <= set(told)
    assert estimates_of(measures, [RANKED]) == {RANKED: found[RANKED]}
    assert "| grades | class_disagreement_rank_correlation (higher is better) |" in as_markdown(found)


def test_an_image_needs_neither_label_nor_mask_to_have_grades():
    counts, evidence = [(5, 0), (4, 1), (3, 2), (0, 5), (2, 3)], [(9, 0), (5, 1), (1, 1), (0, 9), (1, 2)]
    graded = _graded(counts, evidence, [0.9] * 5)
    expected = summarise(graded)[RANKED]
    assert expected.value > 0.9
    assert summarise([replace(m, label=-1) for m in graded])[RANKED] == expected
    assert summarise(_graded(counts, evidence, [0.9] * 5, masked=True))[RANKED] == expected
    assert summarise(graded)[f"{RANKED}_confidence"].value is None  # constant


def test_few_graded_images_have_no_rank_correlation_and_none_are_no_error():
    counts, evidence = [(5, 0), (4, 1), (3, 2), (0, 5)], [(9, 0), (5, 1), (1, 1), (0, 9)]
    assert len(counts) == FEWEST_IMAGES - 1
    single = _graded([(1, 0)] * 4, evidence, [0.9] * 4)
    few = as_json(summarise([*_graded(counts, evidence, [0.9] * 4), *single]))
    assert few[RANKED] == {"value": None, "low": None, "high": None, "images": 4, "subjects": 2}
    assert RANKED not in summarise(single)


def test_grades_of_the_manifest_are_measured():
    outputs, mask, _ = _image(1, True, np.random.default_rng(1))
    row = Row("a.png", "m.png", "a", "test", "", grades="1 4")
    assert measure_image(row, 0, outputs, mask, INFO).grade_disagreement == pytest.approx(0.2)
    assert measure_image(row, -1, outputs, None, INFO).grade_disagreement == pytest.approx(0.2)
    plain = measure_image(replace(row, grades=""), 0, outputs, mask, INFO)
    assert np.isnan(plain.grade_disagreement)
