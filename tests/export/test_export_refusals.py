"""`uml-tf export`: what it refuses, what it cannot log, and what is built elsewhere."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import mlflow
import pytest
from small_networks import quick_network

import uml_tf
from uml_tf.runtime.device_model import DeviceModel
from uml_tf.runtime.errors import UmlError


def test_past_the_tolerance_only_the_report_is_written(trained_quickly, uml_tf_command):
    folder = trained_quickly
    strict = ("last", "--tflite", "--quantize", "dynamic", "--no-web", "--tolerance", "class_difference=0")
    done = uml_tf_command("export", *strict, "--out", "refused", cwd=folder, expect=1)
    assert "tolerance not kept: class_difference: found 0." in done.stderr
    assert {p.name for p in (folder / "refused").iterdir()} == {
        "fidelity.json",
        "fidelity.md",
        "fidelity.png",
    }
    report = json.loads((folder / "refused/fidelity.json").read_text())
    assert report["kept"] is False
    assert report["tolerances"]["class_difference"]["most"] == 0
    assert "| at most 0 | **NO** |" in (folder / "refused/fidelity.md").read_text()
    uml_tf_command("export", *strict, "--out", "refused", "--force", cwd=folder)
    assert DeviceModel(folder / "refused/model.tflite").metadata.kept_by_force is True


def test_export_that_the_store_refuses_to_log_is_written_all_the_same(trained, uml_tf_command, tmp_path):
    (model,) = (trained[0] / "mlruns/runs").glob("*/model.keras")
    (tmp_path / "mlruns").mkdir()
    shutil.copy(trained[0] / "mlruns/mlflow.db", tmp_path / "mlruns/mlflow.db")
    # MLflow keeps a deleted run for a while, and refuses to log to it.
    mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlruns/mlflow.db").delete_run(model.parent.name)
    done = uml_tf_command("export", model, "--tflite", "--no-web", "--out", "bundle", cwd=tmp_path)
    assert re.search(f"^not logged: .*{model.parent.name}.*deleted", done.stdout, re.M), done.stdout
    assert DeviceModel(tmp_path / "bundle/model.tflite").metadata.quantize == "none"


def test_a_server_that_cannot_be_reached_is_one_line_and_hinders_no_export_of_a_file(
    phantoms, start_uml_tf, tmp_path
):
    quick_network(0, phantoms.info).save(tmp_path / "model.keras")
    # MLflow would ask again for minutes.
    store = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    command = ("export", "model.keras", "--tflite", "--no-web", "--force", "--out", "bundle")
    line = "MLflow store http://127.0.0.1:9: cannot be used (Connection refused)"
    process = start_uml_tf(*command, cwd=tmp_path, **store)
    output, errors = process.communicate(timeout=600)
    assert (process.returncode, output) == (1, "")
    assert errors == f"uml-tf: {line}; give one with --verify\n"
    process = start_uml_tf(*command, "--verify", phantoms.root, cwd=tmp_path, **store)
    output, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    assert f"not logged: {line}\n" in output
    assert (tmp_path / "bundle/model.tflite").is_file()


def test_tensorrt_without_a_gpu_writes_the_build_command(trained_quickly, uml_tf_command):
    folder = trained_quickly
    # By force: what a network that was hardly trained keeps is not the question, its vacuity may be constant.
    arguments = ("export", "last", "--tensorrt", "--out", "engine", "--force")
    done = uml_tf_command(*arguments, "--allow-deferred-build", cwd=folder)
    command = (folder / "engine/build_engine.txt").read_text().strip()
    assert command.startswith("trtexec --onnx=model.onnx")
    assert f"on the target device run: {command}" in done.stdout
    assert (folder / "engine/model.onnx").is_file()


@pytest.mark.parametrize(
    ("arguments", "line", "status"),
    [
        ((), "found none of them, expected one of --onnx, --tensorrt, --tflite", 2),
        (("--tflite", "--onnx"), "found --onnx and --tflite, expected one of", 2),
        (("--onnx", "--input", "uint8"), "--input: not an option of --onnx", 2),
        (("--tflite", "--tolerance", "luck=1"), "--tolerance: found 'luck', expected one of", 1),
        (("--tflite", "--tolerance", "class_rho=high"), "--tolerance: found 'class_rho=high'", 1),
        (("--tflite", "--verify", "nowhere"), "nowhere/dataset.yaml: no such file", 1),
        (
            ("--tflite", "--tolerance", "class_agreement=nan"),
            "found 'class_agreement=nan', expected a finite",
            1,
        ),
        (
            ("--tflite", "--tolerance", "mask_difference=inf"),
            "found 'mask_difference=inf', expected a finite",
            1,
        ),
        (("--onnx", "--quantize", "float16"), "--quantize: found float16, --onnx takes int8, none", 2),
        (("--tflite", "--precision", "fp16"), "--precision: not an option of --tflite", 2),
        (("--onnx", "--allow-deferred-build"), "--allow-deferred-build: not an option of --onnx", 2),
        (("--onnx", "--sbom"), "--sbom: not an option of --onnx", 2),
        (("--tflite", "--quantize", "int8-logits", "--input", "uint8"), "--input: found uint8", 1),
        (("--tflite", "--quantize", "int8", "--calibration", "nowhere"), "nowhere: no such folder", 1),
        (
            ("--tflite", "--calibration", "nowhere"),
            "--calibration: not an option of --tflite --quantize none, expected --quantize int8 or",
            2,
        ),
        (
            ("--tensorrt", "--calibration-images", 9),
            "--calibration-images: not an option of --tensorrt --precision fp16, expected --precision int8",
            2,
        ),
    ],
)
def test_bad_options_get_one_line(trained_quickly, run, monkeypatch, arguments, line, status):
    monkeypatch.chdir(trained_quickly)
    assert line in run("export", "last", *arguments, "--out", "never", expect=status)
    assert not (trained_quickly / "never").exists()


def test_calibration_images_of_a_kind_that_is_not_calibrated_are_refused_from_python_too(
    trained_quickly, tmp_path
):
    (model,) = trained_quickly.glob("mlruns/runs/*/model.keras")
    with pytest.raises(UmlError, match=r"calibration: found set for tflite-float16, which is not calibrated"):
        uml_tf.export_model(model, tmp_path / "never", kind="tflite-float16", calibration=Path("set"))
    assert not (tmp_path / "never").exists()
