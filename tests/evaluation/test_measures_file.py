"""The measures of images on disk, and the table of images."""

from __future__ import annotations

import csv
import io
from dataclasses import fields

import numpy as np
import pytest
from small_networks import random_network

from uml_tf.evaluation.evaluate import measure_split
from uml_tf.evaluation.image_table import image_table
from uml_tf.evaluation.keras_predictor import KerasPredictor
from uml_tf.evaluation.measures_file import load_measures, save_measures
from uml_tf.evaluation.summary import summarise
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.intervals import RATIO, Interval, area_name
from uml_tf.runtime.mask_quality import DiceFit


@pytest.fixture(scope="module")
def measured(phantoms):
    """A random network's measures of the validation split, and its card."""
    model = random_network(seed=2)
    names = ("image_classes", "pixel_classes", "unions")
    model.card = model.card.__class__(
        **{name: getattr(phantoms.info, name) for name in names},
        accept_above=0.5,
        mask_quality={name: DiceFit(1.0, 0.0, 9) for name in ("rim", "cup", "disc")},
        intervals={
            RATIO: Interval(1.0, 9),
            area_name("disc"): Interval(2.0, 9),
            area_name("cup"): Interval(None, 8),
        },
    )
    measures = measure_split(KerasPredictor(model), phantoms, "val")
    return measures, model.card


def test_measures_from_a_file_are_those_that_were_written(measured, tmp_path):
    measures, _ = measured
    measures = [*measures, measures[0].__class__("x.png", "s", -1, *[np.ones(2) / 2] * 2, 1.0)]  # no mask
    save_measures(tmp_path / "m.npz", measures)
    found = load_measures(tmp_path / "m.npz")
    assert len(found) == len(measures)
    for one, other in zip(measures, found, strict=True):
        for field in fields(one):
            expected, value = getattr(one, field.name), getattr(other, field.name)
            if field.name in ("shares", "quality"):
                expected = {name: expected.get(name, np.nan) for name in value}
            np.testing.assert_equal(value, expected)
    assert summarise(found) == summarise(measures)


def test_a_damaged_file_is_one_line(tmp_path):
    (tmp_path / "m.npz").write_bytes(b"PK nothing")
    with pytest.raises(UmlError, match=r"m\.npz: cannot be read as measures of images"):
        load_measures(tmp_path / "m.npz")


def test_the_table_has_a_row_for_each_image_with_its_prediction_and_its_overlap(measured, phantoms):
    measures, card = measured
    rows = list(csv.DictReader(io.StringIO(image_table(measures, card))))
    assert [row["image"] for row in rows] == [row.image for row in phantoms.split("val")]
    for row, m, line in zip(rows, measures, phantoms.split("val"), strict=True):
        assert (row["label"], row["subject"], row["dataset"]) == (line.label, line.subject, "")
        probability = [float(row[f"probability_{name}"]) for name in card.image_classes]
        assert probability == pytest.approx(list(m.probability), rel=1e-5)
        assert row["predicted"] == card.image_classes[int(np.argmax(probability))]
        confident = float(row["class_confidence"]) >= card.accept_above
        assert row["decision"] == ("accept" if confident else "refer")
        assert float(row["familiarity"]) == 1
        for region in ("rim", "cup", "disc"):
            expected = m.values[f"dice_{region}"]
            assert row[f"dice_{region}"] == ("" if np.isnan(expected) else f"{expected:.6g}")
            assert 0 <= float(row[f"share_{region}"]) <= 1
        assert float(row["foreground"]) == pytest.approx(float(row["share_disc"]))


def test_estimated_dice_and_intervals_are_measured_against_the_true_ones(measured):
    measures, _ = measured
    metrics = summarise(measures)
    known = [m for m in measures if not np.isnan(m.quality["disc"])]
    errors = [abs(m.quality["disc"] - m.values["dice_disc"]) for m in known]
    assert metrics["quality_error_disc"].value == pytest.approx(np.mean(errors))
    assert metrics["quality_error_disc"].images == len(known)
    for m in known:
        low, high = (m.intervals[f"{area_name('disc')}/{end}"] for end in ("low", "high"))
        assert low <= 1 <= high  # as shares of the predicted area
    assert metrics[f"interval_coverage_{RATIO}"].images == len(known)
    assert metrics["interval_width_area_disc"].value > 0
    assert metrics["interval_coverage_area_cup"].images == 0  # 8 images are too few for one
