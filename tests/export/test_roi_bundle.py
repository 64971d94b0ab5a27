"""A network that reads what a locator finds, with a letterbox: trained, measured, exported, served as one."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace

import cv2
import mlflow
import numpy as np
import pytest
from small_networks import SIZE, finding_network

import uml_tf
from uml_tf.data.pipeline import load_examples
from uml_tf.evaluation.opening import read_locator
from uml_tf.export.job import ExportJob
from uml_tf.export.new_card import check_beside, write_with_card
from uml_tf.export.run import export
from uml_tf.networks.files import weights_sha256
from uml_tf.runtime.device_model import DeviceModel
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.metadata import FORMAT
from uml_tf.tracking.opening import open_exported_pair
from uml_tf.training.calibrate import save_network
from uml_tf.training.locator import open_locator
from uml_tf.training.sections import RoiConfig, parse_roi


@pytest.fixture(scope="module")
def work(oblong, uml_tf_command, tmp_path_factory):
    """A folder with a locator, a network that was trained with it, and its bundle."""
    folder = tmp_path_factory.mktemp("roi")
    locator = finding_network(2, load_examples(oblong, "val", SIZE))
    locator.card = replace(locator.card, unions={"disc": ("region 1", "region 2")})
    locator.save(folder / "finder.keras")
    options = ("--roi", "finder.keras:disc", "--set", "roi.margin=0.1", "--fit", "letterbox")
    small = ("--preset", "unet-edge", "--encoder-weights", "none", "--epochs", "1", "--image-size", "32")
    uml_tf_command("train", "--data", oblong.root, *options, *small, cwd=folder)
    export = ("--tflite", "--quantize", "none", "--no-web", "--force", "--out", "bundle")
    uml_tf_command("export", "last", *export, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def run(work):
    mlflow.set_tracking_uri(f"sqlite:///{work}/mlruns/mlflow.db")
    (found,) = mlflow.search_runs(experiment_names=["uml-tf"], output_format="list")
    return found


@pytest.fixture(scope="module")
def model(work):
    (file,) = work.glob("mlruns/runs/*/model.keras")
    return uml_tf.load(file)


def _paths(oblong):
    return [oblong.root / row.image for row in oblong.split("test")[:4]]


def test_the_run_keeps_its_locator(work, run, model):
    assert model.card.roi.region == "disc"
    assert model.card.roi.margin == 0.1
    assert model.card.fit == "letterbox"
    assert run.data.params["fit"] == "letterbox"
    assert model.card.roi.locator_sha256 == weights_sha256(model.locator.model)
    assert run.data.params["roi.model"] == str((work / "finder.keras").resolve())
    (kept,) = work.glob("mlruns/runs/*/locator.keras")
    assert kept.read_bytes() == (work / "finder.keras").read_bytes()


def test_the_bundle_says_what_the_network_says(work, oblong, model, uml_tf_command):
    paths = _paths(oblong)
    command = [sys.executable, work / "bundle/run.py", *paths, "--out", work / "device"]
    subprocess.run(list(map(str, command)), check=True, capture_output=True)
    report = json.loads((work / "bundle/fidelity.json").read_text())
    assert report["tolerances"]["box_iou"]["kept"]
    assert report["bytes_locator.tflite"] == (work / "bundle/locator.tflite").stat().st_size
    boxes = set()
    for path in paths:
        expected = model.predict(path)
        found = json.loads((work / "device" / f"{path.stem}.json").read_text())
        box = expected.roi["box"]
        assert found["roi"]["region"] == "disc"
        assert found["roi"]["box"] == pytest.approx(box, abs=4)
        assert found["class_uncertainty"] == pytest.approx(expected.class_uncertainty, abs=0.02)
        mask = cv2.imread(str(work / "device" / f"{path.stem}_mask.png"), cv2.IMREAD_UNCHANGED)
        assert (mask == expected.mask).mean() > 0.95
        boxes.add(box)
    assert len(boxes) > 1
    assert min(box[2] * box[3] for box in boxes) < 0.6 * 96 * 60
    assert DeviceModel(work / "bundle/model.tflite").metadata.format == FORMAT


def test_evaluation_takes_both_files(model, run, oblong):
    found = uml_tf.evaluate(model, oblong).metrics
    for name in ("mean_dice", "mask_ece", "accuracy"):
        assert found[name].value == pytest.approx(run.data.metrics[f"test/{name}"], abs=1e-5)


def test_the_served_model_and_the_store_have_the_locator(work, run, oblong, model, monkeypatch):
    monkeypatch.chdir(work)
    served = mlflow.pyfunc.load_model(f"runs:/{run.info.run_id}/model")
    path = _paths(oblong)[0]
    outputs = served.predict([path.read_bytes()])
    prediction = model.predict(path)
    assert outputs["class_uncertainty"][0, 0] == pytest.approx(prediction.class_uncertainty, abs=1e-5)
    # Its maps show the whole picture.
    uncertainty = outputs["mask_uncertainty"]
    assert uncertainty.shape == (1, 32, 32, 1)
    original = cv2.resize(prediction.mask_uncertainty, (32, 32), interpolation=cv2.INTER_AREA)
    assert np.abs(uncertainty[0, ..., 0] - original).mean() < 0.01
    confidence = cv2.resize(prediction.mask_confidence, (32, 32), interpolation=cv2.INTER_AREA)
    assert np.abs(outputs["mask_confidence"][0, ..., 0] - confidence).mean() < 0.02
    exported = uml_tf.load(f"runs:/{run.info.run_id}/exports/tflite-none/model.tflite")
    assert exported.card.roi == model.card.roi


def test_what_does_not_fit_is_refused_in_one_line(work, model, oblong, tmp_path):
    wrong = RoiConfig(model=str(work / "finder.keras"), region="lesion")
    with pytest.raises(
        UmlError, match="found 'lesion', expected one of the locator's region 1, region 2, disc"
    ):
        open_locator(wrong)
    (file,) = work.glob("mlruns/runs/*/model.keras")
    with pytest.raises(UmlError, match="found a network with a locator of its own"):
        open_locator(RoiConfig(model=str(file)))
    network = model.network.model
    job = ExportJob(out=tmp_path / "onnx", kind="onnx-none")
    with pytest.raises(UmlError, match="found a network with a locator, expected --tflite"):
        export(network, job, lambda name, total: lambda done: None, model.locator.model)
    with pytest.raises(UmlError, match=r"locator\.keras"):
        read_locator(network, tmp_path / "model.keras")
    shutil.copy(file, tmp_path / "locator.keras")
    with pytest.raises(UmlError, match="with which the network was trained"):
        read_locator(network, tmp_path / "model.keras")
    with pytest.raises(UmlError, match="with which the network was trained"):
        save_network(network, model.locator.model, tmp_path / "new.keras")
    with pytest.raises(UmlError, match=r"locator\.keras: found the name of the locator's file"):
        save_network(network, model.locator.model, tmp_path / "locator.keras")
    assert [path.name for path in tmp_path.iterdir()] == ["locator.keras"]
    with pytest.raises(UmlError, match="expected its locator beside it"):
        DeviceModel(work / "bundle/model.tflite").predict(_paths(oblong)[0])
    assert parse_roi("runs:/1/model") == {"roi.model": "runs:/1/model"}
    assert parse_roi("last:disc") == {"roi.model": "last", "roi.region": "disc"}


def test_a_site_calibrates_the_files_of_both(work, run, oblong, uml_tf_command):
    exported = f"runs:/{run.info.run_id}/exports/tflite-none/model.tflite"
    site = ("--data", oblong.root, "--split", "train", "--risk-target", "0.3", "--confidence", "0.8")
    done = uml_tf_command("calibrate", exported, *site, "--out", "site/new.tflite", cwd=work)
    assert "threshold, mask quality and intervals are new" in done.stdout
    assert sorted(path.name for path in (work / "site").iterdir()) == ["locator.tflite", "new.tflite"]
    locator = (work / "bundle/locator.tflite").read_bytes()
    assert (work / "site/locator.tflite").read_bytes() == locator
    old, new = (uml_tf.load(work / name) for name in ("bundle/model.tflite", "site/new.tflite"))
    assert (new.card.roi, new.card.trust) == (old.card.roi, old.card.trust)
    assert (new.card.risk_target, new.card.risk_confidence) == (0.3, 0.8)
    assert (new.card.accept_above, new.card.accept_reason) != (old.card.accept_above, old.card.accept_reason)
    path = _paths(oblong)[0]
    first, second = old.predict(path), new.predict(path)
    assert first.roi == second.roi
    np.testing.assert_array_equal(first.mask, second.mask)
    # Of a path, beside the locator that lies there.
    uml_tf_command("calibrate", "bundle/model.tflite", *site, "--out", "bundle/new.tflite", cwd=work)
    assert (work / "bundle/new.tflite").read_bytes() == (work / "site/new.tflite").read_bytes()
    assert (work / "bundle/locator.tflite").read_bytes() == locator


def test_no_other_file_becomes_the_locator_of_a_calibrated_one(work, tmp_path):
    network, locator = open_exported_pair(str(work / "bundle/model.tflite"))
    (tmp_path / "locator.tflite").write_bytes(b"another")
    for name, line in (
        ("new.tflite", "found another file than the model's locator, and no file is replaced"),
        ("locator.tflite", "found the name of the locator's file, expected another"),
    ):
        with pytest.raises(UmlError, match=rf"locator\.tflite: {line}"):
            write_with_card(network, locator, network.card, tmp_path / name)
    check_beside(None, tmp_path / "new.tflite")
    assert (tmp_path / "locator.tflite").read_bytes() == b"another"
    assert len(list(tmp_path.iterdir())) == 1
    shutil.copy(work / "bundle/model.tflite", tmp_path / "alone.tflite")
    (tmp_path / "locator.tflite").unlink()
    with pytest.raises(UmlError, match=r"locator\.tflite: cannot be read"):
        open_exported_pair(str(tmp_path / "alone.tflite"))


def test_another_locator_beside_the_new_file_is_refused_before_an_image_is_read(
    work, oblong, uml_tf_command, tmp_path
):
    (model,) = work.glob("mlruns/runs/*/model.keras")
    site = tmp_path / "site"
    site.mkdir()
    for name in ("dataset.yaml", "manifest.csv"):  # without its images
        shutil.copy(oblong.root / name, site)
    for file, line in (
        (model, "weights: found a locator of SHA-256"),
        (work / "bundle/model.tflite", "found another file than the model's locator"),
    ):
        out = tmp_path / file.suffix[1:]
        arguments = ("calibrate", file, "--data", site, "--out", out / f"new{file.suffix}")
        told = uml_tf_command(*arguments, cwd=tmp_path, expect=1).stderr
        assert "image" in told.splitlines()[-1], "without another locator, what is missing is told"
        out.mkdir(exist_ok=True)
        other = out / f"locator{file.suffix}"
        shutil.copy(file, other)
        (told,) = uml_tf_command(*arguments, cwd=tmp_path, expect=1).stderr.splitlines()
        assert f"{other}: {line}" in told
        assert [path.name for path in out.iterdir()] == [other.name]


def test_a_full_disk_gets_neither_file(work, small_disk):
    network, locator = open_exported_pair(str(work / "bundle/model.tflite"))
    disk = small_disk(str(len(network.content) + len(locator.content) // 2))
    with pytest.raises(UmlError, match=r"locator\.tflite: cannot be written"):
        write_with_card(network, locator, network.card, disk / "new.tflite")
    assert not list(disk.iterdir())
