"""``uml-tf calibrate`` of an int8 file on a site whose images show enough for a threshold."""

from __future__ import annotations

import csv
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from lenient import ANY_FILE
from small_networks import SIZE, finding_network, random_trust

from uml_tf.data.dataset import PreparedDataset
from uml_tf.data.pipeline import Examples, load_examples
from uml_tf.export.convert import convert
from uml_tf.export.kinds import KINDS
from uml_tf.runtime.device_model import DeviceModel
from uml_tf.runtime.intervals import RATIO, Interval, area_name
from uml_tf.runtime.mask_quality import DiceFit
from uml_tf.runtime.predictor import Outputs, predict_all
from uml_tf.runtime.referral import FAMILIAR
from uml_tf.runtime.regions import region_members
from uml_tf.training.accept_threshold import fit_accept_above, upper_bound
from uml_tf.training.calibrate import calibrate_file, site_examples

RISK_TARGET, CONFIDENCE = 0.1, 0.9
SURE = 34
"""Images of the site whose class the file gets right: the most confident of 42."""


@dataclass
class _Site:
    """A data set whose labels are what a file says of all but its least confident images."""

    dataset: PreparedDataset
    file: Path
    old: DeviceModel
    examples: Examples
    outputs: Outputs
    right: np.ndarray

    @property
    def confidence(self):
        return self.outputs["class_confidence"][:, 0]

    @property
    def familiar(self):
        return self.outputs["familiarity"][:, 0] >= FAMILIAR


def _network(phantoms):
    """A random network for the phantoms, to which they are familiar, with fits of another site."""
    examples = load_examples(phantoms, "train", SIZE)
    model, info = finding_network(2, examples), phantoms.info
    regions = region_members(info.pixel_classes, info.unions)
    model.card = replace(
        model.card,
        image_classes=info.image_classes,
        pixel_classes=info.pixel_classes,
        unions=info.unions,
        trust=random_trust(model, examples.images.astype(np.float32)),
        mask_quality={name: DiceFit(1.0, 0.0, 7, 4.0) for name in regions},
        intervals={name: Interval(9.0, 11) for name in (*map(area_name, regions), RATIO)},
    )
    return model, examples.images.astype(np.float32)


@pytest.fixture(scope="module")
def site(phantoms, tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    network, images = _network(phantoms)
    metadata, converted = convert(network, KINDS["tflite-int8"], images[:10], tolerance=ANY_FILE)
    file = folder / "old.tflite"
    file.write_bytes(converted.files[-1].pack(metadata))
    old = DeviceModel(file)
    examples = site_examples(old, phantoms, "train")
    outputs = predict_all(old, examples.images)
    order = np.argsort(-outputs["class_confidence"][:, 0], kind="stable")
    right = np.isin(np.arange(len(order)), order[:SURE])
    predicted = outputs["class_probability"].argmax(axis=1)
    labels = np.where(right, predicted, 1 - predicted)
    told = {
        row.image: phantoms.info.image_classes[label]
        for row, label in zip(examples.rows, labels, strict=True)
    }
    root = shutil.copytree(phantoms.root, folder / "data")
    rows = list(csv.DictReader((root / "manifest.csv").open()))
    with (root / "manifest.csv").open("w", newline="") as manifest:
        writer = csv.DictWriter(manifest, rows[0])
        writer.writeheader()
        writer.writerows({**row, "label": told.get(row["image"], row["label"])} for row in rows)
    return _Site(PreparedDataset.open(root), file, old, examples, outputs, right)


@pytest.fixture(scope="module")
def calibrated(site, uml_tf_command):
    """The new file, and what the command printed."""
    options = ("--split", "train", "--risk-target", RISK_TARGET, "--confidence", CONFIDENCE)
    arguments = (site.file, "--data", site.dataset.root, *options, "--out", "new.tflite")
    done = uml_tf_command("calibrate", *arguments, cwd=site.file.parent)
    return DeviceModel(site.file.with_name("new.tflite")), done.stdout


def test_the_threshold_keeps_its_promise_on_the_site(site, calibrated):
    new, printed = calibrated
    above = new.card.accept_above
    known = site.familiar
    expected = fit_accept_above(site.confidence[known], site.right[known], RISK_TARGET, CONFIDENCE)
    assert above == pytest.approx(expected.above, abs=1e-6)
    assert f"accepts   answers with a class confidence of at least {above:.4f}" in printed
    assert (new.card.risk_target, new.card.risk_confidence) == (RISK_TARGET, CONFIDENCE)
    assert new.card.accept_reason == ""
    accepted = known & (site.confidence >= above)
    assert 0 < (known & ~accepted).sum() < accepted.sum()
    wrong = int((accepted & ~site.right).sum())
    assert upper_bound(wrong, int(accepted.sum()), CONFIDENCE) <= RISK_TARGET
    order = [i for i in np.argsort(site.confidence) if known[i]]
    paths = [site.dataset.root / site.examples.rows[i].image for i in (order[-1], order[0])]
    assert [new.predict(path).decision.action for path in paths] == ["accept", "refer"]


def test_quality_and_intervals_of_the_regions_that_it_draws_are_new(site, calibrated):
    old, new = site.old.card, calibrated[0].card
    drawn = site.outputs["mask_probability"].argmax(axis=-1)
    regions = region_members(old.pixel_classes, old.unions)
    shown = {name: int(np.isin(drawn, m).any(axis=(1, 2)).sum()) for name, m in regions.items()}
    assert max(shown.values()) >= 20
    for name, count in shown.items():
        fit, interval = new.mask_quality[name], new.intervals[area_name(name)]
        if count >= 5:
            assert (fit.images, fit.evidence_scale) == (count, 4.0)
            assert fit.slope != 1.0
        else:
            assert fit == old.mask_quality[name]
        if count >= 9:
            assert interval.images == count
            assert 0 < interval.quantile != 9.0
        else:
            assert interval == old.intervals[area_name(name)]


def test_with_few_masks_quality_and_intervals_stay_and_the_threshold_is_new(site, calibrated):
    new, kept = calibrated[0].card, {row.image for row in site.examples.rows[:3]}
    rows = [row if row.image in kept else replace(row, mask="") for row in site.dataset.rows]
    few = PreparedDataset(site.dataset.root, site.dataset.info, rows)
    found = calibrate_file(site.old, None, few, "train", RISK_TARGET, CONFIDENCE)
    assert found.mask_quality == site.old.card.mask_quality
    assert found.intervals == site.old.card.intervals
    assert found.accept_above == pytest.approx(new.accept_above, abs=1e-6)


def test_the_graph_of_the_file_stays(site, calibrated):
    new = calibrated[0]
    assert new.card.trust == site.old.card.trust
    assert new.metadata.quantize == "int8"
    for name, value in predict_all(new, site.examples.images[:4]).items():
        np.testing.assert_array_equal(value, site.outputs[name][:4])
