"""`uml-tf export` for real: the bundle in an environment of its own, and in a browser."""

from __future__ import annotations

import functools
import http.server
import json
import shutil
import subprocess
import threading
import venv
from pathlib import Path

import cv2
import mlflow
import numpy as np
import pytest

from uml_tf.runtime.device_model import DeviceModel

# A network of two epochs answers near its thresholds: one flip among nine images is no fault.
LENIENT = [f"--tolerance={bar}" for bar in ("class_agreement=0.7", "class_rho=0.8", "mask_rho=0.9")]


@pytest.fixture(scope="module")
def bundle(trained, uml_tf_command):
    folder, _ = trained
    arguments = ("last", "--tflite", "--quantize", "int8", "--web", "--out", "bundle", *LENIENT)
    done = uml_tf_command("export", *arguments, cwd=folder)
    return folder / "bundle", done


@pytest.fixture(scope="module")
def photographs(phantoms, tmp_path_factory):
    """As cameras give them: colour, grey, large, turned, dark."""
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


def test_bundle_has_everything_and_its_report(bundle):
    folder, done = bundle
    assert {path.name for path in folder.iterdir()} == {
        *("README.md", "example.png", "fidelity.json", "fidelity.md", "fidelity.png", "model.tflite"),
        *("requirements.txt", "run.py", "uml_tf_runtime.zip", "web"),
    }
    assert len((folder / "README.md").read_text().splitlines()) <= 12
    assert len((folder / "requirements.txt").read_text().splitlines()) == 3
    report = json.loads((folder / "fidelity.json").read_text())
    assert report["kept"] is True
    assert report["images"] == 9
    assert report["bytes_model.tflite"] == (folder / "model.tflite").stat().st_size
    assert report["bytes_model.tflite"] <= 0.3 * report["bytes_float32_weights"]
    names = {"accuracy", "ece", "dice_rim", "dice_cup", "dice_disc"}
    assert {f"change_{name}" for name in names} <= set(report)
    assert f"class_agreement                      {report['class_agreement']:.4f}" in done.stdout
    assert cv2.imread(str(folder / "fidelity.png")).std() > 5


def test_export_is_beside_the_run_in_mlflow(bundle, trained):
    mlflow.set_tracking_uri(f"sqlite:///{trained[0]}/mlruns/mlflow.db")
    (run,) = mlflow.search_runs(experiment_names=["uml-tf"], output_format="list")
    entries = mlflow.MlflowClient().list_artifacts(run.info.run_id, "exports/tflite-int8")
    assert {Path(entry.path).name for entry in entries} >= {"model.tflite", "fidelity.json", "fidelity.png"}
    assert 0 <= run.data.metrics["export/tflite-int8/class_agreement"] <= 1
    metadata = DeviceModel(bundle[0] / "model.tflite").metadata
    assert metadata.card.run_id == run.info.run_id
    assert metadata.card.fingerprint == run.data.params["dataset.fingerprint"]


def test_predict_and_evaluate_take_the_file(bundle, trained, phantoms, photographs, uml_tf_command):
    work, _ = trained
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
    assert "below that of the training images" in decision.reason


@pytest.fixture(scope="module")
def device(bundle, tmp_path_factory):
    """The bundle alone on a machine with its three packages."""
    folder = tmp_path_factory.mktemp("device")
    venv.create(folder / "env", with_pip=True)
    python = folder / "env/bin/python"
    requirements = bundle[0] / "requirements.txt"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", requirements], check=True)
    return python, Path(shutil.copytree(bundle[0], folder / "bundle"))


def test_bundle_runs_with_its_three_packages_alone(device, bundle, photographs, tmp_path):
    python, folder = device
    for absent in ("uml_tf", "tensorflow", "click", "scipy"):
        probe = subprocess.run(
            [python, "-c", f"import {absent}"], cwd=tmp_path, capture_output=True, check=False
        )
        assert probe.returncode != 0
    done = subprocess.run(
        [python, folder / "run.py", *photographs], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    model = DeviceModel(bundle[0] / "model.tflite")
    for path in photographs:
        answer = json.loads((tmp_path / "answers" / f"{path.stem}.json").read_text())
        assert answer == model.predict(path).to_dict(str(path))
        assert (tmp_path / "answers" / f"{path.stem}_overlay.png").is_file()


def test_bundle_names_what_it_cannot_read(device, tmp_path):
    python, folder = device
    (tmp_path / "text.png").write_text("no image")
    arguments = [python, folder / "run.py", tmp_path / "text.png", folder / "example.png"]
    done = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "text.png: not an image that can be decoded" in done.stderr
    assert (tmp_path / "answers/example.json").is_file()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def page(bundle):
    """The bundle's page, loaded in a real browser."""
    from playwright.sync_api import sync_playwright

    executable = shutil.which("chromium") or shutil.which("google-chrome")
    assert executable, "found no chromium, expected one (Debian package chromium)"
    handler = functools.partial(_Quiet, directory=str(bundle[0]))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    urls = []
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
        browser = playwright.chromium.launch(executable_path=executable, args=flags)
        one = browser.new_page(viewport={"width": 390, "height": 844})
        one.on("request", lambda request: urls.append(request.url))
        one.goto(f"http://127.0.0.1:{server.server_port}/web/")
        one.wait_for_selector("#file:enabled", timeout=120_000)
        yield one
        here = (f"http://127.0.0.1:{server.server_port}/", "blob:", "data:")
        assert [url for url in urls if not url.startswith(here)] == [], "the page went to the network"
        browser.close()
    server.shutdown()


def _answer(page):
    page.wait_for_selector("#answer:visible", timeout=60_000)
    with page.expect_download() as download:
        page.click("#download")
    return json.loads(Path(download.value.path()).read_text())


def test_browser_answers_what_python_answers(page, bundle, photographs):
    model = DeviceModel(bundle[0] / "model.tflite")
    for path in photographs:
        page.set_input_files("#file", path)
        page.wait_for_function(f"document.querySelector('#status').textContent.startsWith('{path.name}:')")
        found, answer = _answer(page), model.predict(path)
        expected = answer.to_dict(path.name)
        assert found.keys() == expected.keys()
        for name in ("class_probability", "class_belief"):
            assert found[name] == pytest.approx(expected[name], abs=1e-3)
        for name in ("class_uncertainty", "mask_uncertainty"):
            assert found[name] == pytest.approx(expected[name], abs=1e-3)
        assert found["class"] == expected["class"]
        assert found["decision"] == expected["decision"]
        for region, value in expected["pixels"].items():
            assert found["pixels"][region]["area"] == pytest.approx(
                value["area"], abs=0.005 * answer.mask.size
            )
        assert page.inner_text("#reason") == f"{found['reason']}."


def test_page_draws_what_it_says(page, photographs):
    page.set_input_files("#file", photographs[0])
    page.wait_for_selector("#answer:visible")
    width = page.evaluate("document.querySelector('#overlay').width")
    assert width == cv2.imread(str(photographs[0])).shape[1]
    for canvas in ("overlay", "uncertainty"):
        spread = page.evaluate(
            "id => { const c = document.getElementById(id);"
            "const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
            "return new Set(d).size }",
            canvas,
        )
        assert spread > 10
        assert page.get_attribute(f"#{canvas}", "aria-label")
    parts = page.get_attribute("#mass", "aria-label").split(", ")
    assert sum(float(part.split()[-1]) for part in parts) == pytest.approx(1, abs=2e-3)
    # On a phone nothing is wider than the screen.
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_page_works_from_the_keyboard_and_from_the_camera(page):
    page.evaluate("document.querySelector('#answer').hidden = true; document.body.focus()")
    page.focus("#example")
    page.keyboard.press("Enter")
    assert _answer(page)["image"] == "example.png"
    page.focus("#camera")
    page.keyboard.press("Enter")
    page.wait_for_selector("#viewfinder:visible")
    page.keyboard.press("Enter")
    page.wait_for_function("document.querySelector('#status').textContent.startsWith('camera.png:')")
    assert _answer(page)["image"] == "camera.png"


def test_page_names_what_it_cannot_read(page, tmp_path):
    (tmp_path / "text.png").write_text("no image")
    page.set_input_files("#file", tmp_path / "text.png")
    page.wait_for_selector("#status[data-error]")
    assert page.inner_text("#status") == "text.png: This is not an image that the browser can decode"
    assert page.is_hidden("#answer")


def test_past_the_tolerance_only_the_report_is_left(trained, uml_tf_command):
    folder, _ = trained
    strict = ("last", "--tflite", "--quantize", "dynamic", "--no-web", "--tolerance", "class_difference=0")
    done = uml_tf_command("export", *strict, "--out", "refused", cwd=folder, expect=1)
    assert "tolerance not kept: class_difference: found 0." in done.stderr
    assert {p.name for p in (folder / "refused").iterdir()} == {
        "fidelity.json",
        "fidelity.md",
        "fidelity.png",
    }
    assert json.loads((folder / "refused/fidelity.json").read_text())["kept"] is False
    uml_tf_command("export", *strict, "--out", "refused", "--force", cwd=folder)
    assert DeviceModel(folder / "refused/model.tflite").metadata.kept_by_force is True


def test_tensorrt_without_a_gpu_writes_the_build_command(trained, uml_tf_command):
    folder, _ = trained
    arguments = ("export", "last", "--tensorrt", "--out", "engine", *LENIENT)
    done = uml_tf_command(*arguments, "--allow-deferred-build", cwd=folder)
    command = (folder / "engine/build_engine.txt").read_text().strip()
    assert command.startswith("trtexec --onnx=model.onnx")
    assert f"on the target device run: {command}" in done.stdout
    assert (folder / "engine/model.onnx").is_file()


@pytest.mark.parametrize(
    ("arguments", "line", "status"),
    [
        ((), "found none of them, expected one of --tflite", 2),
        (("--tflite", "--onnx"), "found --tflite and --onnx, expected one of", 2),
        (("--onnx", "--input", "uint8"), "--input: not an option of --onnx", 2),
        (("--tflite", "--tolerance", "luck=1"), "--tolerance: found 'luck', expected one of", 1),
        (("--tflite", "--tolerance", "class_rho=high"), "--tolerance: found 'class_rho=high'", 1),
        (("--tflite", "--verify", "nowhere"), "nowhere/dataset.yaml: no such file", 1),
        (("--onnx", "--quantize", "float16"), "--onnx takes --quantize none or int8", 2),
        (("--tflite", "--quantize", "int8", "--calibration", "nowhere"), "nowhere: no such folder", 1),
    ],
)
def test_bad_options_get_one_line(trained, uml_tf_command, arguments, line, status):
    done = uml_tf_command("export", "last", *arguments, "--out", "never", cwd=trained[0], expect=status)
    assert line in done.stderr
    assert not (trained[0] / "never").exists()


def test_example_may_be_any_image(bundle, phantoms):
    # Written anew, so that the camera's remarks in a file are not passed on.
    shown = cv2.imread(str(bundle[0] / "example.png"))
    first = cv2.imread(str(phantoms.root / phantoms.split("val")[0].image))
    np.testing.assert_array_equal(shown, first)
