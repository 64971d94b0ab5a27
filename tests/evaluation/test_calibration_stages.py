"""Calibration before and after the temperature, of class and pixels."""

from __future__ import annotations

import numpy as np
import pytest

from uml_tf.evaluation.calibration_stages import (
    calibration_csv,
    calibration_markdown,
    calibration_stages,
)
from uml_tf.evaluation.measure import ImageMeasure
from uml_tf.evaluation.stage_counts import AFTER, BEFORE, CONFIDENCE, stage_counts, untempered
from uml_tf.metrics.adaptive_calibration import adaptive_calibration_error
from uml_tf.metrics.calibration import calibration_error_if_calibrated, expected_calibration_error
from uml_tf.metrics.calibration_counts import (
    calibration_counts,
    counted_adaptive_ece,
    counted_brier,
    counted_ece,
)
from uml_tf.runtime.contract import tempered
from uml_tf.runtime.trust import NO_TRUST, Trust


def test_counts_give_the_errors_of_the_pixels_themselves():
    rng = np.random.default_rng(0)
    confidence = rng.beta(4, 1, 50_000)
    correct = rng.random(50_000) < confidence**2
    counts = calibration_counts(confidence[:20_000], correct[:20_000])
    counts += calibration_counts(confidence[20_000:], correct[20_000:])
    assert counted_ece(counts) == pytest.approx(expected_calibration_error(confidence, correct), abs=1e-9)
    assert counted_adaptive_ece(counts) == pytest.approx(
        adaptive_calibration_error(confidence, correct), abs=0.002
    )
    assert counted_brier(counts) == pytest.approx(((confidence - correct) ** 2).mean())
    assert np.isnan(counted_ece(counts * 0))


def test_few_calibrated_answers_have_a_large_error_by_chance_and_overconfident_ones_a_larger():
    rng = np.random.default_rng(3)
    confidence = rng.uniform(0.5, 1, 100)
    mean, low, high = calibration_error_if_calibrated(confidence)
    right = rng.random((300, 100)) < confidence
    errors = [expected_calibration_error(confidence, one) for one in right]
    assert mean == pytest.approx(np.mean(errors), abs=0.01)
    assert 0.02 < low < mean < high < 0.2
    assert expected_calibration_error(confidence, rng.random(100) < confidence - 0.3) > high
    assert calibration_error_if_calibrated(np.repeat(confidence, 100))[0] < mean / 5


def test_a_temperature_is_taken_back():
    probability = np.random.default_rng(1).dirichlet([1, 1, 1], 50)
    np.testing.assert_allclose(untempered(tempered(probability, 1.7), 1.7), probability, atol=1e-6)
    assert untempered(probability, None) is probability


def test_the_report_shows_what_the_temperature_gains():
    rng = np.random.default_rng(2)
    measures = []
    for i in range(80):
        true = rng.dirichlet([1.0, 1.0])
        label = int(rng.random() < true[1])
        pixels = rng.dirichlet([0.5, 0.5], 400)
        correct = rng.random(400) < pixels.max(axis=1)
        counts = stage_counts(pixels, pixels.max(axis=1), correct, 3.0)
        measures.append(
            ImageMeasure(
                f"{i}.png",
                "",
                label,
                true,
                true / 2,
                0.5,
                {"mean_dice": 1.0},
                counts,
                class_confidence=true.max(),
            )
        )
    found = calibration_stages(measures, Trust(class_temperature=3.0))
    assert [(one.part, one.stage) for one in found] == [
        (part, stage) for part in ("class", "pixels") for stage in (BEFORE, AFTER, CONFIDENCE)
    ]
    for before, after in (found[:2], found[3:5]):
        for name, estimate in after.estimates.items():
            assert estimate.value < before.estimates[name].value
            assert estimate.low <= estimate.value <= estimate.high or name != "Brier"
    assert found[4].estimates["ECE"].value < 0.02
    assert calibration_markdown(found).count("\n") == 8
    assert calibration_csv(found).count("\n") == 1 + 6 * 3 + 3
    low, high = found[2].if_calibrated[1:]
    assert low < found[2].estimates["ECE"].value < high
    assert found[5].if_calibrated is None
    assert calibration_stages([], NO_TRUST) == []
    alone = calibration_stages(measures, NO_TRUST)
    assert [(one.part, one.stage) for one in alone] == [("class", CONFIDENCE), ("pixels", CONFIDENCE)]
    assert [one.estimates for one in alone] == [found[2].estimates, found[5].estimates]
