"""A folder of DICOM, NIfTI and deep pictures becomes a data set, and its mapping travels with it."""

from __future__ import annotations

import csv
import json

import cv2
import numpy as np
import pydicom
import pytest
import yaml
from dicom_files import write_dicom

from uml_tf.data.dataset import DatasetInfo, PreparedDataset, Row
from uml_tf.data.pixel_size import MIXED, distance_unit
from uml_tf.evaluation.measure import mask_pair
from uml_tf.evaluation.summary import as_markdown
from uml_tf.formats.dicom import quiet_pydicom
from uml_tf.formats.header_columns import header_columns
from uml_tf.metrics.bootstrap import Estimate
from uml_tf.reports.words import chief, shown
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.images import read_image
from uml_tf.runtime.intensity import Intensity
from uml_tf.runtime.model_card import ModelCard


def _picture(seed):
    rng = np.random.default_rng(seed)
    return cv2.resize(
        rng.integers(0, 4096, (6, 8)).astype(np.uint16), (64, 48), interpolation=cv2.INTER_LINEAR
    )


@pytest.fixture
def raw(tmp_path):
    """Six grey DICOM images of three patients in folders of the classes, with masks."""
    for number in range(6):
        folder = tmp_path / "raw" / ("benign" if number < 3 else "malignant")
        write_dicom(folder / f"im{number}.dcm", _picture(number), (0.2, 0.1), 12, PatientID=f"P{number // 2}")
        mask = np.zeros((48, 64), np.uint8)
        mask[10:30, 20:40] = 255
        cv2.imwrite(str(folder / f"im{number}_mask.png"), mask)
    return tmp_path / "raw"


def _convert(run, raw, out, *more):
    return run("data", "folder", raw, out, "--labels", "from-folder", "--masks", "{stem}_mask.png", *more)


def test_a_folder_of_dicom_becomes_a_data_set(raw, tmp_path, run):
    _convert(run, raw, tmp_path / "out", "--percentiles", 1, 99)
    dataset = PreparedDataset.open(tmp_path / "out")
    assert dataset.info.intensity == Intensity("percentile", percentiles=(1, 99))
    assert dataset.info.spacing == (0.2, 0.1)
    assert len(dataset.rows) == 6
    assert {row.subject for row in dataset.rows} == {"patient_0001", "patient_0002", "patient_0003"}
    assert all(row.image.startswith("images/dicom_") and row.mask for row in dataset.rows)
    written = [read_image(dataset.root / row.image)[..., 0] for row in dataset.rows]
    low, high = np.percentile(_picture(0), [1, 99])
    expected = np.clip((_picture(0) - low) / (high - low), 0, 1) * 255
    assert min(np.abs(image - expected).max() for image in written) < 0.51
    assert "no problems found" in run("data", "check", tmp_path / "out")


def test_names_are_kept_where_that_is_asked_for(raw, tmp_path, run):
    _convert(run, raw, tmp_path / "out", "--keep-identifiers")
    rows = list(csv.DictReader((tmp_path / "out/manifest.csv").open()))
    assert {row["subject"] for row in rows} == {"P0", "P1", "P2"}
    assert {row["image"] for row in rows} == {f"images/im{number}.png" for number in range(6)}


def test_sex_age_device_and_columns_of_a_table_come_into_the_manifest(raw, tmp_path, run):
    """A clinic cannot add them later: who an image is of cannot be told from its name any more."""
    for number, path in enumerate(sorted(raw.rglob("*.dcm"))):
        header = pydicom.dcmread(path)
        header.PatientSex, header.Manufacturer, header.ManufacturerModelName = "FM"[number % 2], "A", "9"
        header.PatientAge = f"{number + 40:03d}Y"
        header.save_as(path)
    rows = [f"im{number},{'north' if number < 5 else ''},X" for number in range(6)]
    (raw / "sites.csv").write_text("\n".join(["image,site,sex", *rows]))
    table = ("--table", "sites.csv", "--columns", "site,age,device,side,modality")
    _convert(run, raw, tmp_path / "a", *table, "--name", "a")
    _convert(run, raw, tmp_path / "b", "--columns", "sex", "--name", "b")
    run("data", "merge", tmp_path / "a", tmp_path / "b", tmp_path / "c")
    rows = list(csv.DictReader((tmp_path / "c/manifest.csv").open()))
    first, second = (sorted(r["age"] + r["sex"] for r in rows if r["dataset"] == name) for name in "ab")
    assert first == ["40", "41", "42", "43", "44", "45"]
    assert second == ["F", "F", "F", "M", "M", "M"]
    assert [row["site"] for row in rows if row["age"] == "45"] == [""]
    assert {(r["device"], r["modality"], r["side"]) for r in rows if r["age"]} == {("A 9", "OP", "")}
    said = run("data", "folder", raw, tmp_path / "d", "--columns", "sit", *table[:2], expect=1)
    assert "--columns: found 'sit', expected some of image, site, sex, age, device" in said
    assert "found 'subject'" in run("data", "folder", raw, tmp_path / "d", "--columns", "subject", expect=1)


@pytest.mark.parametrize(
    ("fields", "age"),
    [
        ({"PatientAge": "063Y"}, "63"),
        ({"PatientAge": "018M"}, "1"),
        ({"PatientAge": "024M"}, "2"),
        ({"PatientAge": "100Y"}, "90"),
        ({"PatientBirthDate": "19500702", "StudyDate": "20200701"}, "69"),
        ({"PatientBirthDate": "19500702"}, ""),
        ({"PatientAge": "old", "StudyDate": "2020"}, ""),
        ({}, ""),
    ],
)
def test_ages_are_whole_years_and_very_old_ones_are_one(fields, age):
    header = pydicom.Dataset()
    with quiet_pydicom():
        for keyword, value in fields.items():
            setattr(header, keyword, value)
        assert header_columns(header, ("age", "site")) == {"age": age}


def test_two_mappings_are_not_merged(raw, tmp_path, run):
    _convert(run, raw, tmp_path / "a", "--percentiles", 1, 99)
    _convert(run, raw, tmp_path / "b", "--window", 2000, 4000)
    said = run("data", "merge", tmp_path / "a", tmp_path / "b", tmp_path / "c", expect=1)
    assert "intensity: found percentiles 1 to 99 and window of centre 2000 and width 4000" in said
    assert not (tmp_path / "c").exists()


def test_a_bad_mapping_is_named_by_its_option(raw, tmp_path, run):
    said = run("data", "folder", raw, tmp_path / "o", "--window", 10, 0, expect=1)
    assert "window: found (10.0, 0.0), expected a centre and a width above 0" in said
    path = _edit_yaml(raw, tmp_path, run)
    said = run("data", "check", path, expect=1)
    assert "dataset.yaml" in said
    assert "intensity" in said


def _edit_yaml(raw, tmp_path, run):
    _convert(run, raw, tmp_path / "edited")
    path = tmp_path / "edited/dataset.yaml"
    data = yaml.safe_load(path.read_text())
    data["intensity"]["method"] = "log"
    path.write_text(yaml.safe_dump(data))
    return tmp_path / "edited"


def test_the_card_carries_the_mapping_and_older_cards_have_none():
    card = ModelCard(("a", "b"), ("x", "y"), intensity=Intensity("window", (40.0, 400.0)))
    data = json.loads(json.dumps(card.to_dict()))
    assert ModelCard.from_dict(data) == card
    assert "intensity" not in ModelCard(("a", "b"), ("x", "y")).to_dict()


def test_a_model_reads_by_the_mapping_of_its_card(tmp_path, fundus_model, run):
    deep = _picture(9)
    cv2.imwrite(str(tmp_path / "deep.png"), deep)
    dicom = write_dicom(tmp_path / "a.dcm", deep, (0.2, 0.1), 12)
    printed = run("predict", fundus_model, dicom, tmp_path / "deep.png", "--out", tmp_path / "o")
    assert "2 of 2 images written" in printed
    (of_dicom,) = [json.loads(path.read_text()) for path in (tmp_path / "o").glob("dicom_*.json")]
    of_png = json.loads((tmp_path / "o/deep.json").read_text())
    assert of_dicom["class_probability"] == of_png["class_probability"]  # the same values, the same mapping
    assert of_dicom["intensity"] == of_png["intensity"] == "percentiles 0.5 to 99.5"
    assert of_dicom["spacing_mm"] == [0.2, 0.1]
    for region in of_dicom["pixels"].values():
        assert region["area_mm2"] == pytest.approx(region["area"] * 0.02)
        if region["box"]:
            assert region["height_mm"] == pytest.approx(region["box"][3] * 0.2)
    assert "spacing_mm" not in of_png
    with (tmp_path / "o/predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert all(row["area_disc"] for row in rows)
    (known,) = [row["area_mm2_disc"] for row in rows if row["area_mm2_disc"]]
    assert float(known) == pytest.approx(of_dicom["pixels"]["disc"]["area_mm2"])


def test_the_size_of_pixels_is_a_column_where_images_do_not_share_it(tmp_path, run):
    for number in range(6):
        folder = tmp_path / "raw" / ("benign" if number < 3 else "malignant")
        step = 0.1 if number < 2 else 0.25
        write_dicom(
            folder / f"im{number}.dcm", _picture(number), (step, 2 * step), 12, PatientID=f"P{number}"
        )
    run("data", "folder", tmp_path / "raw", tmp_path / "mixed", "--labels", "from-folder")
    mixed = PreparedDataset.open(tmp_path / "mixed")
    assert mixed.info.spacing is None
    assert sorted(row.pixel_size for row in mixed.rows) == [(0.1, 0.2)] * 2 + [(0.25, 0.5)] * 4
    for path in list((tmp_path / "raw").rglob("im[01].dcm")):
        path.unlink()
    run("data", "folder", tmp_path / "raw", tmp_path / "same", "--labels", "from-folder")
    same = PreparedDataset.open(tmp_path / "same")
    assert same.info.spacing == (0.25, 0.5)
    assert {row.pixel_size for row in same.rows} == {None}
    run("data", "merge", tmp_path / "mixed", tmp_path / "same", tmp_path / "merged")
    merged = PreparedDataset.open(tmp_path / "merged")
    assert merged.info.spacing is None
    assert {row.pixel_size for row in merged.rows} == {(0.1, 0.2), (0.25, 0.5)}
    manifest = tmp_path / "mixed/manifest.csv"
    manifest.write_text(manifest.read_text().replace("0.1 0.2", "0.1 by 0.2"))
    with pytest.raises(UmlError, match=r"manifest\.csv: line \d: spacing: found '0\.1 by 0\.2'"):
        PreparedDataset.open(tmp_path / "mixed")


@pytest.mark.parametrize(
    ("shared", "own", "unit"),
    [
        (None, ("", ""), "pixels"),
        ((0.1, 0.2), ("", ""), "mm"),
        (None, ("0.1 0.2", "1 1"), "mm"),
        (None, ("0.1 0.2", ""), MIXED),
    ],
)
def test_the_unit_of_distances_is_told(tmp_path, shared, own, unit):
    info = DatasetInfo(name="a", image_classes=("a", "b"), pixel_classes=("x", "y"), spacing=shared)
    rows = tuple(Row(f"{text}.png", "", "a", "test", "", spacing=text) for text in own)
    assert distance_unit(PreparedDataset(tmp_path, info, rows), "test") == unit
    metrics = {"assd_y": Estimate(1.0, 0.5, 2.0, 2, 2, 10)}
    assert f"Distances (assd, hd95) are in {unit}." in as_markdown(metrics, unit)
    told = [shown(metrics[n], w.share, w.unit) for n, w in chief(metrics, unit).items()]
    assert told == ([] if unit == MIXED else [(f"1.00 {unit}", "0.50 to 2.00")])


def test_distances_are_those_of_the_image():
    truth, predicted = np.zeros((2, 40, 40), np.uint8)
    truth[10:20, 10:20], predicted[14:24, 10:20] = 1, 1
    info = DatasetInfo(name="x", image_classes=("a", "b"), pixel_classes=("background", "lesion"))
    in_pixels, in_mm = (
        mask_pair(truth, predicted, info, spacing).regions["lesion"] for spacing in (None, (0.5, 0.5))
    )
    assert in_mm.surface.hd95 == pytest.approx(in_pixels.surface.hd95 / 2)
