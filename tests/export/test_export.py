"""`uml-tf export` on a trained network; the bundle in an environment of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import cv2
import mlflow
import numpy as np
import pytest
from lenient import ANY_FILE_OPTIONS

import uml_tf.runtime
from uml_tf.runtime.device_model import DeviceModel
from uml_tf.runtime.file_state import KEY, state_of

BOUND = "--tolerance=decision_agreement=0.5"
"""Beside it, bounds that every file keeps, so that no part is looked for that should stay in float."""


@pytest.fixture(scope="module")
def folder_of_run(trained_longer):
    """The working folder of a training."""
    return trained_longer.parents[3]


@pytest.fixture(scope="module")
def bundle(folder_of_run, uml_tf_command):
    folder = folder_of_run
    arguments = ("last", "--tflite", "--quantize", "int8", "--out", "bundle", *ANY_FILE_OPTIONS, BOUND)
    done = uml_tf_command("export", *arguments, cwd=folder, fresh=True)
    return folder / "bundle", done


@pytest.fixture(scope="module")
def photographs(phantoms, tmp_path_factory):
    """Colour, grey, large, small, dark."""
    folder = tmp_path_factory.mktemp("photographs")
    photo = cv2.imread(str(phantoms.root / phantoms.rows[0].image))
    pictures = {
        "colour.png": photo,
        "grey.png": photo[..., 1],
        "large.png": cv2.resize(photo, (300, 211), interpolation=cv2.INTER_CUBIC),
        "small.png": cv2.resize(photo, (40, 50), interpolation=cv2.INTER_AREA),
        "dark.png": photo // 12,
    }
    for name, picture in pictures.items():
        cv2.imwrite(str(folder / name), picture)
    return [folder / name for name in pictures]


def test_bundle_is_complete_and_has_its_report(bundle):
    folder, done = bundle
    # Without npm there is no page, and the command says so.
    page = set() if "no page for the browser" in done.stdout else {"web"}
    assert {path.name for path in folder.iterdir()} == page | {
        *("README.md", "example.png", "fidelity.json", "fidelity.md", "fidelity.png", "manifest.json"),
        *("model.tflite", "requirements.txt", "run.py", "uml_tf_runtime.zip"),
    }
    assert len((folder / "README.md").read_text().splitlines()) <= 12
    assert len((folder / "requirements.txt").read_text().splitlines()) == 3
    report = json.loads((folder / "fidelity.json").read_text())
    assert report["kept"] is True
    assert report["mask_agreement"] >= 0.98
    assert report["images"] == 9
    assert report["bytes_model.tflite"] == (folder / "model.tflite").stat().st_size
    # The density is in float.
    assert report["bytes_model.tflite"] <= 0.34 * report["bytes_float32_weights"]
    names = {"accuracy", "ece", "dice_rim", "dice_cup", "dice_disc"}
    for part in ("network", "file", "change"):
        assert {f"{part}_{name}" for name in names} <= set(report)
    assert report["tolerances"]["decision_agreement"] == {
        "found": report["decision_agreement"],
        "least": 0.5,
        "kept": True,
        "note": "",
        "interval": [report[f"decision_agreement_{end}"] for end in ("low", "high")],
    }
    check = report["tolerances"]["class_agreement"]
    low, high = check["interval"]
    shown = f"{check['found']:.4f} ({low:.4f} to {high:.4f}), at least {check['least']:g}"
    assert f"class_agreement                      {shown}" in done.stdout
    assert (
        f"mask_rho                             {report['mask_uncertainty_rho']:.4f}, at least" in done.stdout
    )
    file, network = report["file_accuracy"], report["network_accuracy"]
    assert (
        f"accuracy                             {file:.4f} (network {network:.4f}, {file - network:+.4f})"
        in done.stdout
    )
    assert cv2.imread(str(folder / "fidelity.png")).std() > 5


def test_export_is_beside_the_run_in_mlflow(bundle, folder_of_run):
    mlflow.set_tracking_uri(f"sqlite:///{folder_of_run}/mlruns/mlflow.db")
    (run,) = mlflow.search_runs(experiment_names=["uml-tf"], output_format="list")
    entries = mlflow.MlflowClient().list_artifacts(run.info.run_id, "exports/tflite-int8")
    assert {Path(entry.path).name for entry in entries} >= {"model.tflite", "fidelity.json", "fidelity.png"}
    assert 0 <= run.data.metrics["export/tflite-int8/class_agreement"] <= 1
    metadata = DeviceModel(bundle[0] / "model.tflite").metadata
    assert metadata.card.run_id == run.info.run_id
    assert metadata.card.fingerprint == run.data.params["dataset.fingerprint"]


def test_predict_and_evaluate_take_the_file(bundle, folder_of_run, phantoms, photographs, uml_tf_command):
    work = folder_of_run
    model = bundle[0] / "model.tflite"
    uml_tf_command("predict", model, *photographs, "--out", "exported", cwd=work)
    uml_tf_command("predict", "last", *photographs, "--out", "network", cwd=work)
    for path in photographs:
        exported, network = (
            json.loads((work / folder / f"{path.stem}.json").read_text())
            for folder in ("exported", "network")
        )
        assert exported["class_uncertainty"] == pytest.approx(network["class_uncertainty"], abs=0.05)
        assert exported.keys() == network.keys()
    uml_tf_command("evaluate", model, "--data", phantoms.root, "--out", "measured-file", cwd=work)
    assert "accuracy" in json.loads((work / "measured-file/metrics.json").read_text())


def test_dark_photograph_is_ungradable(bundle, photographs):
    model = DeviceModel(bundle[0] / "model.tflite")
    decision = model.predict(photographs[-1]).decision
    assert decision.action == "ungradable"
    assert decision.reason.startswith("unlike the training images (familiarity 0.")


@pytest.fixture(scope="module")
def device(bundle, tmp_path_factory):
    """The bundle alone on a machine with its three packages."""
    folder = tmp_path_factory.mktemp("device")
    venv.create(folder / "env", with_pip=False)
    python = folder / "env/bin/python"
    requirements = bundle[0] / "requirements.txt"
    pip = [sys.executable, "-m", "pip", "--python", python]
    subprocess.run([*pip, "install", "--quiet", "--no-compile", "-r", requirements], check=True)
    return python, Path(shutil.copytree(bundle[0], folder / "bundle"))


def test_bundle_runs_with_its_three_packages_only(device, bundle, photographs, tmp_path):
    python, folder = device
    for absent in ("uml_tf", "tensorflow", "click", "scipy"):
        probe = subprocess.run([python, "-I", "-c", f"import {absent}"], capture_output=True, check=False)
        assert probe.returncode != 0
    command = [python, "-I", folder / "run.py", *photographs]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    model = DeviceModel(bundle[0] / "model.tflite")
    for path in photographs:
        found = json.loads((tmp_path / "predictions" / f"{path.stem}.json").read_text())
        expected = model.predict(path).to_dict(str(path)) | {"model": model.identity, KEY: state_of(path)}
        assert found == json.loads(json.dumps(expected))  # lists, no tuples
        assert (tmp_path / "predictions" / f"{path.stem}_overlay.png").is_file()


def test_every_runtime_module_imports_with_the_three_packages_only(device):
    python, folder = device
    code = (
        "import importlib, pkgutil, sys; sys.path.insert(0, sys.argv[1]); import uml_tf.runtime as runtime;"
        "names = [found.name for found in pkgutil.iter_modules(runtime.__path__)];"
        "[importlib.import_module(f'uml_tf.runtime.{name}') for name in names];"
        "print(' '.join(sorted(names)))"
    )
    command = [python, "-I", "-c", code, folder / "uml_tf_runtime.zip"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    sources = Path(uml_tf.runtime.__file__).parent.glob("*.py")
    assert done.stdout.split() == sorted(source.stem for source in sources if source.stem != "__init__")


def test_bundle_names_what_it_cannot_read(device, tmp_path):
    python, folder = device
    (tmp_path / "text.png").write_text("no image")
    arguments = [python, folder / "run.py", tmp_path / "text.png", folder / "example.png"]
    done = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "text.png: not an image that can be decoded" in done.stderr
    assert (tmp_path / "predictions/example.json").is_file()


def _run_py(folder, *options):
    command = [sys.executable, *options, folder / "run.py", folder / "example.png", "--out", folder / "out"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def _flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


@pytest.mark.parametrize(
    "name", ["model.tflite", "run.py", "uml_tf_runtime.zip", "requirements.txt", "fidelity.md"]
)
def test_changed_file_of_the_bundle_is_named(bundle, tmp_path, name):
    folder = Path(shutil.copytree(bundle[0], tmp_path / "bundle"))
    expected = json.loads((folder / "manifest.json").read_text())["sha256"]
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert set(expected) == files - {"manifest.json"}
    if name == "run.py":
        (folder / name).write_text((folder / name).read_text() + "# changed\n")
    elif name == "uml_tf_runtime.zip":
        # A runtime that would show that it was imported before the check.
        with zipfile.ZipFile(folder / name, "w") as archive:
            archive.writestr("uml_tf/__init__.py", "print('imported')")
    else:
        _flip(folder / name)
    done = _run_py(folder)
    assert done.returncode == 1
    assert (done.stdout, done.stderr.count("\n")) == ("", 1)
    assert done.stderr.startswith(f"run.py: {folder / name}: sha256: found ")
    assert f"expected {expected[name]}: damaged or changed" in done.stderr
    assert not (folder / "out").exists()


def test_missing_file_and_missing_manifest_are_named(bundle, tmp_path):
    folder = Path(shutil.copytree(bundle[0], tmp_path / "bundle"))
    (folder / "README.md").unlink()
    assert "README.md: sha256: found no readable file (No such file" in _run_py(folder).stderr
    for content in ("", "[]", "{}", '{"sha256": {}}', '{"sha256": []}'):
        (folder / "manifest.json").write_text(content)
        done = _run_py(folder)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1), content
        assert "manifest.json: cannot be read as the bundle's manifest" in done.stderr
    (folder / "manifest.json").unlink()
    assert "manifest.json: cannot be read as the bundle's manifest" in _run_py(folder).stderr


def test_stray_modules_beside_run_py_are_not_imported(bundle, tmp_path):
    folder = Path(shutil.copytree(bundle[0], tmp_path / "bundle"))
    for name in ("json", "numpy", "uml_tf"):
        (folder / f"{name}.py").write_text("raise SystemExit('stray module imported')")
    for options in ((), ("-I",)):
        done = _run_py(folder, *options)
        assert done.returncode == 0, done.stderr
        assert (folder / "out/example.json").is_file()
        shutil.rmtree(folder / "out")


def test_example_is_the_first_compared_image(bundle, phantoms):
    shown = cv2.imread(str(bundle[0] / "example.png"))
    first = cv2.imread(str(phantoms.root / phantoms.split("val")[0].image))
    np.testing.assert_array_equal(shown, first)
