"""One fit from training to the device: the card, the commands, the bundle and the served model."""

from __future__ import annotations

import json
import subprocess
import sys

import cv2
import mlflow
import numpy as np
import pytest

import uml_tf
from uml_tf.runtime.device_model import DeviceModel
from uml_tf.runtime.images import read_image


@pytest.fixture(scope="module")
def work(oblong, uml_tf_command, tmp_path_factory):
    """A folder with a network that was trained with a letterbox, and its bundle."""
    folder = tmp_path_factory.mktemp("fitted")
    options = ("--fit", "letterbox", "--epochs", "1", "--image-size", "32")
    uml_tf_command("train", "--data", oblong.root, *options, cwd=folder)
    export = ("--tflite", "--quantize", "int8", "--no-web", "--out", "bundle", "--force")
    uml_tf_command("export", "last", *export, cwd=folder)
    return folder


def test_the_device_places_a_picture_as_the_network_does(work, oblong, uml_tf_command):
    paths = [oblong.root / row.image for row in oblong.split("test")[:3]]
    uml_tf_command("predict", "last", *paths, "--out", "network", cwd=work)
    command = [sys.executable, work / "bundle/run.py", *paths, "--out", work / "device"]
    subprocess.run(list(map(str, command)), check=True, capture_output=True)
    model = DeviceModel(work / "bundle/model.tflite")
    assert model.card.fit == "letterbox"
    assert model.metadata.format == 2
    for path in paths:
        placement = model.place(read_image(path))
        assert sorted(placement.target.size) == [20, 32]
        network, device = (
            json.loads((work / name / f"{path.stem}.json").read_text()) for name in ("network", "device")
        )
        for name in ("class_uncertainty", "mask_uncertainty"):
            assert device[name] == pytest.approx(network[name], abs=0.02)
        masks = [cv2.imread(str(work / name / f"{path.stem}_mask.png"), 0) for name in ("network", "device")]
        assert masks[0].shape == placement.original
        assert (masks[0] == masks[1]).mean() > 0.9


def test_evaluation_reads_by_the_card(work, oblong):
    mlflow.set_tracking_uri(f"sqlite:///{work}/mlruns/mlflow.db")
    (run,) = mlflow.search_runs(experiment_names=["uml-tf"], output_format="list")
    assert run.data.params["fit"] == "letterbox"
    (path,) = work.glob("mlruns/runs/*/model.keras")
    found = uml_tf.evaluate(path, oblong).metrics
    for name in ("mean_dice", "mask_ece", "accuracy"):
        assert found[name].value == pytest.approx(run.data.metrics[f"test/{name}"], abs=1e-5)


def test_served_maps_show_the_whole_picture(work, oblong):
    mlflow.set_tracking_uri(f"sqlite:///{work}/mlruns/mlflow.db")
    (run,) = mlflow.search_runs(experiment_names=["uml-tf"], output_format="list")
    served = mlflow.pyfunc.load_model(f"runs:/{run.info.run_id}/model")
    path = oblong.root / oblong.split("test")[0].image
    outputs = served.predict([path.read_bytes()])
    (file,) = work.glob("mlruns/runs/*/model.keras")
    prediction = uml_tf.load(file).predict(path)
    assert outputs["class_uncertainty"][0, 0] == pytest.approx(prediction.class_uncertainty, abs=1e-5)
    uncertainty = outputs["mask_uncertainty"]
    assert uncertainty.shape == (1, 32, 32, 1)
    original = cv2.resize(prediction.mask_uncertainty, (32, 32), interpolation=cv2.INTER_AREA)
    assert np.abs(uncertainty[0, ..., 0] - original).mean() < 0.01
