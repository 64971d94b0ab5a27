"""``uml-tf evaluate`` with corrupted and foreign images, and with means of several predictions."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from small_networks import random_network

from uml_tf.cli.evaluate import _names
from uml_tf.data.dataset import PreparedDataset
from uml_tf.evaluation.corruptions import CORRUPTIONS
from uml_tf.evaluation.evaluate import Evaluation, measure_split
from uml_tf.evaluation.foreign import compare_foreign, foreign_rows, measure_images, measure_tiles
from uml_tf.evaluation.keras_predictor import KerasPredictor
from uml_tf.evaluation.mean_model import with_flips
from uml_tf.evaluation.report import write_evaluation
from uml_tf.evaluation.robustness import measure_robustness, steps_of_each_image
from uml_tf.evaluation.summary import summarise
from uml_tf.runtime.intervals import RATIO, Interval
from uml_tf.runtime.mask_quality import DiceFit
from uml_tf.runtime.regions import UNKNOWN_PIXEL
from uml_tf.runtime.trust import NO_TRUST


@pytest.fixture(scope="module")
def few(phantoms):
    """Five images of the phantoms."""
    return PreparedDataset(phantoms.root, phantoms.info, phantoms.split("test")[:5])


@pytest.fixture(scope="module")
def model(phantoms):
    network = random_network(seed=0)
    names = ("image_classes", "pixel_classes", "unions")
    network.card = replace(network.card, **{name: getattr(phantoms.info, name) for name in names})
    return KerasPredictor(network)


@pytest.fixture(scope="module")
def told(model, phantoms, tmp_path_factory, uml_tf_command):
    """The output folder of one command with all options that go together, and what it printed."""
    folder = tmp_path_factory.mktemp("options")
    model.model.save(folder / "random.keras")
    for name, count in (("grey", 3), ("site/grey", 2)):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            cv2.imwrite(str(folder / name / f"{i}.png"), np.full((40, 50, 3), 60 + 40 * i, np.uint8))
    arguments = ("../random.keras", "--data", phantoms.root, "--split", "val", "--out", "../out")
    others = [part for kind in (".", "../grey", "grey") for part in ("--out-of-distribution", kind)]
    done = uml_tf_command("evaluate", *arguments, "--robustness", *others, cwd=folder / "site")
    return folder / "out", done, folder


def test_the_plain_pictures_are_measured_as_the_split_is(model, few):
    seen = []
    found = measure_robustness(model, few, "test", seen.append)
    measures = measure_split(model, few, "test")
    assert found.images == 5
    assert seen[-1] == 5 * steps_of_each_image() == 5 * 41
    for name in CORRUPTIONS:
        plain = found.means[name, 0]
        assert plain["accuracy"] == np.mean([m.label == m.probability.argmax() for m in measures])
        uncertainty = np.mean([m.class_uncertainty for m in measures])
        assert plain["class_uncertainty"] == pytest.approx(uncertainty, abs=0.01)  # rounded to grey levels
        assert plain["mask_uncertainty"] == pytest.approx(
            np.mean([m.mask_uncertainty for m in measures]), abs=0.01
        )
        assert plain["class_confidence"] == pytest.approx(
            np.mean([m.class_confidence for m in measures]), abs=0.01
        )
        assert plain["mean_dice"] == pytest.approx(
            np.mean([m.values["mean_dice"] for m in measures]), abs=0.05
        )
        assert plain["accepted"] + plain["referred"] + plain["ungradable"] == pytest.approx(1)
    assert found.means["Gaussian noise", 5] != found.means["Gaussian noise", 0]
    assert measure_robustness(model, few, "test").means == found.means


@pytest.mark.parametrize("masked", [False, True])
def test_a_split_of_which_nothing_is_known_is_measured_without_a_figure(model, few, tmp_path, masked):
    rows = [replace(row, label="", mask=row.mask if masked else "") for row in few.rows]
    for row in few.rows:
        for name in (row.image, row.mask):
            (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(few.root / row.image, tmp_path / row.image)
        size = cv2.imread(str(few.root / row.image)).shape[:2]
        assert cv2.imwrite(str(tmp_path / row.mask), np.full(size, UNKNOWN_PIXEL, np.uint8))
    measures = measure_split(model, PreparedDataset(tmp_path, few.info, rows), "test")
    evaluation = Evaluation("test", measures, summarise(measures))
    written = write_evaluation(tmp_path / "out", evaluation, model.card)
    assert {path.suffix for path in written} == {".json", ".md", ".csv"}
    assert not (tmp_path / "out/figures").exists()
    table = list(csv.DictReader((tmp_path / "out/images.csv").open()))
    assert [row["image"] for row in table] == [row.image for row in rows]
    assert all(row["predicted"] for row in table)


def test_a_mean_of_predictions_decides_nothing(model, few):
    flipped = with_flips(model)
    measures = measure_split(flipped, few, "test")
    assert {m.decision for m in measures} == {""}
    assert all(0 <= m.mask_doubts["members"] <= 1 for m in measures)
    assert np.isnan(measure_robustness(flipped, few, "test").means["defocus", 1]["accepted"])
    fitted = replace(
        model.card, mask_quality={"rim": DiceFit(1.0, 0.0, 9)}, intervals={RATIO: Interval(1.0, 9)}
    )
    network = model.model
    kept, network.card = network.card, fitted
    try:
        assert (flipped.card.mask_quality, flipped.card.intervals) == ({}, {})
        assert (flipped.card.trust, flipped.card.accept_above) == (NO_TRUST, None)
        assert network.card.accept_above == 0.6
        decision = flipped.predict(few.root / few.rows[0].image).decision
        assert decision.action != "accept"
    finally:
        network.card = kept


def test_the_estimated_dice_ranks_masks_where_every_class_has_one(model, few):
    fits = {name: DiceFit(1.0, 0.0, 9) for name in few.info.pixel_classes[1:]}
    some = dict(list(fits.items())[:1])
    network = model.model
    kept = network.card
    try:
        for quality, is_told in ((fits, True), (some, False)):
            network.card = replace(kept, mask_quality=quality)
            measures = [m for m in measure_split(model, few, "test") if m.masked]
            assert measures
            for measure in measures:
                assert ("estimated_dice" in measure.mask_doubts) == is_told
                told = [v for n, v in measure.quality.items() if n in fits and not np.isnan(v)]
                if is_told:
                    assert measure.mask_doubts["estimated_dice"] == pytest.approx(1 - np.mean(told or [0]))
    finally:
        network.card = kept


def test_foreign_images_are_told_by_the_scores_that_the_model_tells(model, few, told):
    own = measure_split(model, few, "test")
    same = compare_foreign("same", own, own)
    assert same.estimates["vacuity", "ood_auroc"].value == 0.5
    unknown = [replace(m, familiarity=float("nan")) for m in own]
    assert ("familiarity", "ood_auroc") not in compare_foreign("same", unknown, unknown).estimates
    far = [replace(m, image=f"far {m.image}", familiarity=0.1) for m in own]
    near = [replace(m, familiarity=0.9) for m in own]
    assert compare_foreign("far", near, far).estimates["familiarity", "ood_auroc"].value == 1
    assert compare_foreign("far", near, far).estimates["familiarity", "ood_fpr95"].value == 0
    tiles = measure_tiles(model, few, "test")
    assert [m.image for m in tiles] == [m.image for m in own]
    assert all(not m.masked and m.label == -1 for m in tiles)
    assert any(t.class_uncertainty != m.class_uncertainty for t, m in zip(tiles, own, strict=True))
    again = measure_images(model, few, foreign_rows(few.root, "test")[:5])
    assert [m.class_uncertainty for m in again] == pytest.approx([m.class_uncertainty for m in own])


def test_images_of_another_prepared_set_are_resampled_by_subject(model, few, tmp_path):
    other = shutil.copytree(few.root, tmp_path / "other")
    rows = list(csv.DictReader((other / "manifest.csv").open()))
    for number, row in enumerate(rows):
        row["subject"] = f"patient {number // 4}"
    with (other / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    expected = [row["subject"] for row in rows if row["split"] == "test"]
    found = foreign_rows(other, "test")
    measures = measure_images(model, few, found)
    assert [m.subject for m in measures] == [row.subject for row in found] == expected
    own = measure_split(model, few, "test")
    (estimate, *_) = compare_foreign("other", own, measures).estimates.values()
    assert estimate.subjects == len({m.resampled_with for m in own}) + len(set(expected))
    assert {row.subject for row in foreign_rows(few.root / Path(few.rows[0].image).parent, "test")} == {""}


def test_the_command_writes_a_table_and_a_figure_of_the_corruptions(told, phantoms):
    out, done, _ = told
    rows = list(csv.DictReader((out / "robustness.csv").open()))
    assert [(row["corruption"], row["severity"]) for row in rows] == [
        (name, str(severity)) for name in CORRUPTIONS for severity in range(6)
    ]
    assert {row["images"] for row in rows} == {str(len(phantoms.split("val")))}
    assert (out / "robustness.md").read_text() in done.stdout
    assert cv2.imread(str(out / "figures/robustness.png")).std() > 5
    figures = json.loads((out / "metrics.json").read_text())
    shares = [figures[name]["value"] for name in ("accepted", "referred", "ungradable")]
    assert sum(shares) == pytest.approx(1)


def test_the_command_tells_foreign_images_and_tiles(told, phantoms):
    out, done, _ = told
    rows = list(csv.DictReader((out / "out_of_distribution.csv").open()))
    assert {row["metric"] for row in rows} == {"ood_auroc", "ood_fpr95"}
    own = str(len(phantoms.split("val")))
    assert {(row["kind"], row["images"]) for row in rows} == {
        *(("shuffled tiles", own), ("site", "2"), ("grey", "3"), ("grey-2", "2")),
    }
    assert (out / "out_of_distribution.md").read_text() in done.stdout


@pytest.mark.parametrize(
    ("arguments", "status", "line"),
    [
        (("--flips", "--passes", 3), 2, "found several of --passes, --flips and --with"),
        (("--out-of-distribution", "empty"), 1, "empty: found no image"),
    ],
)
def test_what_is_wrong_is_one_line(told, phantoms, uml_tf_command, arguments, status, line):
    _, _, folder = told
    (folder / "empty").mkdir(exist_ok=True)
    common = ("random.keras", "--data", phantoms.root, "--split", "val", "--out", "no")
    done = uml_tf_command("evaluate", *common, *arguments, cwd=folder, expect=status)
    assert line in done.stderr
    assert not (folder / "no").exists()


def test_equal_names_are_numbered_past_those_that_are_taken():
    assert _names(["a 2", "a", "a", "a-2", "a", ""]) == ["a-2", "a", "a-3", "a-2-2", "a-4", "data"]
