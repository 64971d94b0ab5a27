"""The metrics of a split, and their intervals."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from image_measures import measure, random_measures, two_class_measures

from uml_tf.evaluation.statistics import class_arrays
from uml_tf.evaluation.summary import as_json, as_markdown, summarise
from uml_tf.metrics import classification, selective
from uml_tf.metrics.dirichlet import dirichlet_doubt
from uml_tf.metrics.metric import METRICS, ClassMetric, SelectiveMetric, metrics_of_kind


def _interval_of_images(statistic, images):
    """Percentile bootstrap over images, written out."""
    rng = np.random.default_rng(0)
    draws = [statistic(rng.integers(0, images, images)) for _ in range(1000)]
    return np.nanpercentile(draws, [2.5, 97.5])


@pytest.mark.parametrize("name", ["accuracy", "auc", "brier", "class_failure_auroc", "class_excess_aurc"])
def test_where_every_image_is_a_subject_of_its_own_images_are_resampled(name):
    measures = random_measures(60, subjects=[f"patient {i}" for i in range(60)])
    a = class_arrays(measures)
    metric = METRICS[name].value
    first, second = (
        (a.labels, a.probability) if isinstance(METRICS[name], ClassMetric) else (a.uncertainty, a.correct)
    )
    estimate = summarise(measures)[name]
    assert estimate.value == pytest.approx(metric(first, second), rel=1e-12)
    low, high = _interval_of_images(lambda i: metric(first[i], second[i]), 60)
    assert (estimate.low, estimate.high) == pytest.approx((low, high), rel=1e-12)


def test_copies_of_images_leave_every_interval_as_it_is_when_the_subject_says_so():
    rng = np.random.default_rng(0)
    correct, dice = rng.random(50) < 0.8, rng.random(50)
    once = summarise(two_class_measures(correct, dice, [str(i) for i in range(50)]))
    subjects = [str(i) for i in range(50) for _ in range(4)]
    copied = two_class_measures(np.repeat(correct, 4), np.repeat(dice, 4), subjects)
    for i, m in enumerate(copied):  # a copy shows the class and the score of its original
        original = two_class_measures(correct, dice)[i // 4]
        copied[i] = measure(i, original.label, original.belief * 4, subjects[i], m.values)
    four = summarise(copied)
    as_images = summarise([measure(i, m.label, m.belief * 4, "", m.values) for i, m in enumerate(copied)])
    for name in ("accuracy", "balanced_accuracy", "mean_dice"):
        assert (four[name].low, four[name].high) == pytest.approx((once[name].low, once[name].high))
        width, narrow = (s[name].high - s[name].low for s in (four, as_images))
        assert narrow < 0.6 * width
    assert (four["accuracy"].images, four["accuracy"].subjects) == (200, 50)


def test_every_score_of_doubt_stands_beside_the_reported_one():
    measures = random_measures(150)
    metrics = summarise(measures)
    a = class_arrays(measures)
    doubt = dirichlet_doubt(a.probability * 3 / a.uncertainty[:, None])
    assert metrics["class_failure_auroc"].value == selective.failure_detection_auroc(a.uncertainty, a.correct)
    rival = 1 - a.probability.max(axis=1)
    for name, score in {**doubt, "max_probability": rival}.items():
        if name != "vacuity":
            found = metrics[f"class_failure_auroc_{name}"].value
            assert found == pytest.approx(selective.failure_detection_auroc(score, a.correct), abs=1e-3)
            assert metrics[f"class_aurc_{name}"].value == pytest.approx(
                selective.aurc(score, a.correct), abs=1e-3
            )
    rows = [line for line in as_markdown(metrics).splitlines() if line.startswith(("| vacuity", "| max_"))]
    assert len(rows) == 2
    assert f"{metrics['class_failure_auroc_max_probability'].value:.4f} (" in rows[1]


def test_metrics_json_is_flat_and_states_images_and_subjects():
    measures = random_measures(20, subjects=[f"patient {i // 2}" for i in range(20)])
    found = json.loads(json.dumps(as_json(summarise(measures)), allow_nan=False))
    assert set(found["accuracy"]) == {"value", "low", "high", "images", "subjects"}
    assert (found["accuracy"]["images"], found["accuracy"]["subjects"]) == (20, 10)
    assert set(metrics_of_kind(ClassMetric)) | set(metrics_of_kind(SelectiveMetric)) <= set(found)


def test_the_images_in_which_no_disc_was_found_are_counted():
    nan = float("nan")
    values = [
        {"cup_to_disc_error": 0.1, "disc_missed": 0.0},
        {"cup_to_disc_error": 0.3, "disc_missed": 0.0},
        {"cup_to_disc_error": nan, "disc_missed": 1.0},
        {"cup_to_disc_error": nan, "disc_missed": nan},  # no disc in the image
    ]
    metrics = summarise([measure(i, 0, [2, 1], values=v) for i, v in enumerate(values)])
    error, missed = metrics["cup_to_disc_error"], metrics["disc_missed"]
    assert (error.value, error.images) == (pytest.approx(0.2), 2)
    assert (missed.value, missed.images) == (pytest.approx(1 / 3), 3)
    table = as_markdown(metrics)
    assert "| disc_missed | 0.3333 | 0.0000 to 1.0000 | lower | 3 | 3 |" in table


def test_what_is_undefined_is_null_and_stays_in_the_report():
    metrics = summarise([measure(i, -1, [2, 1], values={"dice_lesion": float("nan")}) for i in range(3)])
    assert as_json(metrics)["auc"] == {"value": None, "low": None, "high": None, "images": 0, "subjects": 0}
    assert metrics["dice_lesion"].value is None
    one_class = summarise([measure(i, 0, [2, 1]) for i in range(4)])
    assert one_class["auc"].value is None
    assert one_class["auc"].images == 4
    assert one_class["accuracy"].value == 1
    assert "| auc | not defined | " in as_markdown(one_class)


def test_images_of_one_name_in_two_subjects_are_two_subjects():
    measures = [measure("a.png", 0, [2, 1], "x"), measure("x", 0, [2, 1]), measure("b.png", 0, [2, 1], "x")]
    assert summarise(measures)["accuracy"].subjects == 2


def test_mean_recall_is_what_training_watches():
    labels, predicted = np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1])
    probability = np.eye(2)[predicted]
    expected = classification.mean_recall(labels, predicted)
    assert classification.balanced_accuracy(labels, probability) == expected == pytest.approx(5 / 6)


def test_decisions_have_exact_intervals_and_masks_are_ranked_by_every_score_of_doubt():
    rng = np.random.default_rng(0)
    dice = rng.random(30)
    measures = [
        replace(
            m,
            decision="accept" if i < 12 else "refer" if i < 25 else "ungradable",
            mask_doubts={"confidence": 1 - dice[i], "vacuity": float(rng.random())},
        )
        for i, m in enumerate(two_class_measures([True] * 30, dice))
    ]
    metrics = summarise(measures)
    risk = metrics["accepted_risk"]
    assert (risk.value, risk.low, risk.images) == (0, 0, 12)
    assert risk.high == pytest.approx(1 - 0.025 ** (1 / 12))
    assert (metrics["accepted"].value, metrics["referred"].value) == (12 / 30, 13 / 30)
    assert metrics["mask_dice_rank_correlation_confidence"].value == pytest.approx(1)
    assert metrics["mask_dice_aurc_confidence"].value < metrics["mask_dice_aurc"].value
    assert "mask_dice_aurc_members" not in metrics
    table = as_markdown(metrics)
    chief, *_ = table.partition("\n\n")
    for name in ("class_failure_auroc", "mask_dice_aurc"):
        assert f"| {name}_confidence | " in chief
        assert f"| {name} | " not in chief
    assert "| accepted_risk | 0.0000 | 0.0000 to 0.2646 | lower | 12 | 12 |" in table
    assert len([line for line in table.splitlines() if line.startswith("| confidence |")]) == 2
