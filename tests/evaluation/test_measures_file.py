"""The measures of images on disk, and the table of images."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import fields, replace
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from small_networks import random_network

from uml_tf.evaluation.calibration_stages import calibration_stages
from uml_tf.evaluation.evaluate import measure_split
from uml_tf.evaluation.image_table import image_table
from uml_tf.evaluation.keras_predictor import KerasPredictor
from uml_tf.evaluation.measures_file import load_measures, save_measures
from uml_tf.evaluation.numbers import Numbers
from uml_tf.evaluation.stage_counts import COUNTED
from uml_tf.evaluation.summary import as_json, estimates_of, summarise
from uml_tf.metrics.scores import MASK_SCORES, PIXEL_SCORES
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.intervals import RATIO, Interval, area_name
from uml_tf.runtime.mask_quality import DiceFit
from uml_tf.runtime.trust import Trust


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
            if isinstance(value, Numbers):  # of which nan is not equal to itself
                value, expected = dict(value), dict(expected)
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


def test_the_docs_tell_every_column_of_the_table(measured):
    measures, card = measured
    (written,) = csv.reader(io.StringIO(image_table(measures, card).partition("\n")[0]))
    text = (Path(__file__).parents[2] / "docs/study.md").read_text(encoding="utf-8")
    rows = text.partition("`images.csv` has a row for each image:")[2].split("\n\n")[1].splitlines()[2:]
    told = {name for row in rows for name in re.findall(r"`(\w+)`", row.split(" | ")[0])}
    stands_for = {
        "CLASS": card.image_classes,
        "REGION": ("rim", "cup", "disc"),
        "SCORE": tuple(MASK_SCORES),
        "MEASUREMENT": tuple(card.intervals),
    }
    found = {re.sub("|".join(stands_for), lambda m: f"({'|'.join(stands_for[m[0]])})", name) for name in told}
    values = set(measures[0].values)  # every metric of the mask, which has a row of its own
    missing = [c for c in written if c not in values and not any(re.fullmatch(f, c) for f in found)]
    assert not missing
    assert all(any(re.fullmatch(f, column) for column in written) for f in found), "a column that is gone"


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


def _as_earlier_versions_wrote(path, measures):
    """Counts stacked, in float64 or a narrow type, and the squared error of calibration bin by bin."""
    names = ("image", "subject", "source", "decision", "label", "class_uncertainty", "mask_uncertainty")
    arrays = {name: np.array([getattr(m, name) for m in measures]) for name in (*names, "foreground")}
    arrays |= {name: np.array([getattr(m, name) for m in measures]) for name in ("probability", "belief")}
    arrays["masked"] = np.ones(len(measures), bool)
    arrays["values/mean_dice"] = np.array([m.values["mean_dice"] for m in measures])
    for name in measures[0].counts:
        counts = np.stack([np.asarray(m.counts[name], float) for m in measures])
        if name.startswith(COUNTED):
            counts[:, :, 3] = counts[:, :1, 3] * counts[:, :, 0] / counts[:, :, 0].sum(axis=1, keepdims=True)
        arrays[f"counts/{name}"] = np.asfortranarray(counts) if name == "mask_ece" else counts
    np.savez_compressed(path, **arrays)


def test_metrics_of_packed_counts_are_those_of_dense_ones_and_of_an_earlier_file(measured, tmp_path):
    measures, _ = measured
    dense = [replace(m, counts={n: np.asarray(c, float) for n, c in m.counts.items()}) for m in measures]
    _as_earlier_versions_wrote(tmp_path / "m.npz", measures)
    earlier = load_measures(tmp_path / "m.npz")
    wanted = [
        n for n in summarise(measures) if n.startswith(("mask_ece", "mask_error", "mask_uncertainty_e"))
    ]
    assert len(wanted) == 1 + 2 * len(PIXEL_SCORES)
    packed = as_json(estimates_of(measures, wanted))
    for others in (dense, earlier):
        for name, found in as_json(estimates_of(others, wanted)).items():
            assert found == pytest.approx(packed[name], rel=0, abs=1e-12), name
    trust = Trust(mask_temperature=1.0)
    expected = [one.estimates for one in calibration_stages(measures, trust) if one.part == "pixels"]
    for others in (dense, earlier):
        found = [one.estimates for one in calibration_stages(others, trust) if one.part == "pixels"]
        assert len(found) == 3
        for one, other in zip(expected, found, strict=True):
            assert as_json(one).keys() == as_json(other).keys()
            for name, numbers in as_json(other).items():
                assert numbers == pytest.approx(as_json(one)[name], rel=0, abs=1e-12)


def test_a_file_that_ends_within_the_counts_is_one_line(measured, tmp_path):
    measures, _ = measured
    save_measures(tmp_path / "m.npz", measures)
    with ZipFile(tmp_path / "m.npz") as whole, ZipFile(tmp_path / "short.npz", "w") as short:
        for name in whole.namelist():
            content = whole.read(name)
            short.writestr(name, content[:-1] if name == "counts/mask_ece.npy" else content)
    with pytest.raises(
        UmlError, match=rf"short\.npz: .*{len(measures) - 1} images, expected {len(measures)}"
    ):
        load_measures(tmp_path / "short.npz")
