"""The registry of metrics: what each states about itself, and that the docs hold the same."""

from __future__ import annotations

from math import inf
from pathlib import Path

import numpy as np
import pytest

from uml_tf.metrics.chief import chief_name, decisive_margins, headlines
from uml_tf.metrics.metric import (
    KINDS,
    METRICS,
    ClassMetric,
    ScoredMetric,
    SelectiveMetric,
    metric_of,
    metrics_of_kind,
)
from uml_tf.metrics.table import metrics_table

DOCS = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"


def test_docs_hold_the_table_of_all_registered_metrics():
    assert metrics_table().strip() in DOCS.read_text(encoding="utf-8"), (
        "docs/metrics.md: expected the output of `uml-tf evaluate --list-metrics`"
    )
    for name in METRICS:
        assert f"`{name}" in metrics_table()


def test_every_metric_has_one_kind():
    found = [name for kind in KINDS for name in metrics_of_kind(kind)]
    assert sorted(found) == sorted(METRICS)


def test_the_direction_of_every_metric():
    lower = {name for name, metric in METRICS.items() if metric.better == "lower"}
    assert lower == {
        *("brier", "nll", "ece", "adaptive_ece", "class_aurc", "class_excess_aurc", "class_augrc"),
        *("accepted_risk", "accepted_wrong", "referred", "ungradable", "ood_fpr95"),
        *("mask_dice_aurc", "mask_dice_augrc"),
        *("quality_error", "interval_width"),
        *("assd", "hd95", "false_positive_area", "mask_ece", "cup_to_disc_error", "disc_missed"),
    }


def test_decisive_metrics_and_their_margins():
    assert decisive_margins() == {
        "balanced_accuracy": 0.05,
        "class_failure_auroc_confidence": 0.1,
        "mean_dice": 0.03,
    }
    assert set(headlines()) == {"auc", "balanced_accuracy", "ece", "class_failure_auroc_confidence", "dice"}
    decisive = "decisive by the confidence, margin 0.1 |"
    assert [line.split("`")[1] for line in metrics_table().splitlines() if line.endswith(decisive)] == [
        "class_failure_auroc"
    ]


def test_every_metric_of_scores_of_doubt_is_shown_by_the_confidence():
    for name, metric in METRICS.items():
        if isinstance(metric, ScoredMetric):
            assert "confidence" in metric.scores
            assert chief_name(name, metric) == f"{name}_confidence"
            assert metric_of(chief_name(name, metric)) is metric
        else:
            assert chief_name(name, metric) == name


@pytest.mark.parametrize(
    ("reported", "name"),
    [
        ("accuracy", "accuracy"),
        ("dice_disc", "dice"),
        ("hd95_a_b", "hd95"),
        ("mean_dice", "mean_dice"),
        ("false_positive_area_cup", "false_positive_area"),
        ("class_failure_auroc_max_probability", "class_failure_auroc"),
        ("mask_error_average_precision_dissonance", "mask_error_average_precision"),
    ],
)
def test_a_reported_name_leads_to_its_metric(reported, name):
    assert metric_of(reported) is METRICS[name]


def test_a_name_of_no_metric_leads_nowhere():
    assert metric_of("accuracy_of_nothing") is None
    assert metric_of("unknown") is None


def test_a_metric_without_a_direction_or_a_decisive_one_without_bounds_is_refused():
    with pytest.raises(ValueError, match="expected 'higher' or 'lower'"):
        ClassMetric(value=lambda labels, probability: 0.0, better="larger", description="")
    with pytest.raises(ValueError, match="expected finite ones for a decisive metric"):
        ClassMetric(
            value=lambda labels, probability: 0.0,
            better="lower",
            bounds=(0, inf),
            margin=0.1,
            description="",
        )
    with pytest.raises(TypeError):
        ClassMetric(value=lambda labels, probability: 0.0, description="no direction")


@pytest.mark.parametrize("name", metrics_of_kind(ClassMetric))
def test_class_metrics_stay_in_their_range_and_are_better_for_better_predictions(name):
    rng = np.random.default_rng(0)
    metric = metrics_of_kind(ClassMetric)[name]
    labels = np.arange(300) % 3
    noise = rng.dirichlet(np.ones(3), 300)
    good, poor = (share * np.eye(3)[labels] + (1 - share) * noise for share in (0.9, 0.1))
    for probability in (good, poor):
        assert metric.bounds[0] <= metric.value(labels, probability) <= metric.bounds[1]
    assert metric.sign * metric.value(labels, good) > metric.sign * metric.value(labels, poor)


@pytest.mark.parametrize("name", metrics_of_kind(SelectiveMetric))
def test_selective_metrics_stay_in_their_range_and_are_better_for_better_scores(name):
    rng = np.random.default_rng(0)
    metric = metrics_of_kind(SelectiveMetric)[name]
    correct = rng.random(300) < 0.8
    good, poor = (~correct + rng.normal(0, spread, 300) for spread in (0.3, 3))
    for score in (good, poor):
        assert metric.bounds[0] <= metric.value(score, correct) <= metric.bounds[1]
    assert metric.sign * metric.value(good, correct) > metric.sign * metric.value(poor, correct)
