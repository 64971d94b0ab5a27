"""The logged model: what it needs, and its results behind MLflow's own server, over HTTP."""

from __future__ import annotations

import base64
import json
import os
import re
import socket
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zlib
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path

import cv2
import mlflow
import numpy as np
import pytest
from packaging.requirements import Requirement

from uml_tf import __version__
from uml_tf.runtime.contract import CONTRACT
from uml_tf.tracking.models import SERVED_PACKAGES
from uml_tf.tracking.store import FINISHED_TAG

TRAININGS = f"tags.`{FINISHED_TAG}` = 'train'"  # other tests log to the store too


@pytest.fixture(scope="module")
def server(trained):
    folder, _ = trained
    store = f"sqlite:///{folder}/mlruns/mlflow.db"
    mlflow.set_tracking_uri(store)
    (run,) = mlflow.search_runs(experiment_names=["uml-tf"], filter_string=TRAININGS, output_format="list")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    binaries = Path(sys.executable).parent
    process = subprocess.Popen(
        [
            *(binaries / "mlflow", "models", "serve", "--model-uri", f"runs:/{run.info.run_id}/model"),
            *("--env-manager", "local", "--host", "127.0.0.1", "--port", str(port)),
        ],
        env={**os.environ, "MLFLOW_TRACKING_URI": store, "PATH": f"{binaries}:{os.environ['PATH']}"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    address = f"http://127.0.0.1:{port}"
    for _ in range(240):
        try:
            urllib.request.urlopen(f"{address}/ping", timeout=2)
            break
        except OSError:
            assert process.poll() is None, "the server ended"
            time.sleep(0.5)
    yield address, f"runs:/{run.info.run_id}/model"
    os.killpg(process.pid, 9)


def _request(server, content):
    """(status, body) of the response to a request."""
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    request = urllib.request.Request(f"{server[0]}/invocations", data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=120) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def _encoded(seed, size=(60, 80), suffix=".png"):
    picture = np.random.default_rng(seed).integers(0, 255, (5, 5, 3)).astype(np.uint8)
    return cv2.imencode(suffix, cv2.resize(picture, size[::-1]))[1].tobytes()


def _claiming_169_megapixels():
    header = b"IHDR" + struct.pack(">IIBBBBB", 13000, 13000, 8, 2, 0, 0, 0)
    png = _encoded(0)
    return png[:12] + header + struct.pack(">I", zlib.crc32(header)) + png[33:]


def _text(data):
    return base64.b64encode(data).decode()


@pytest.fixture(scope="module")
def expected(server):
    return mlflow.pyfunc.load_model(server[1])


@pytest.mark.parametrize(
    "wrap",
    [
        lambda images: {"inputs": images},
        lambda images: {"instances": images},
        lambda images: {"dataframe_records": [{"image": image} for image in images]},
        lambda images: {"dataframe_split": {"columns": ["image"], "data": [[image] for image in images]}},
    ],
    ids=["inputs", "instances", "records", "split"],
)
def test_encoded_images_return_the_output_contract(server, expected, wrap):
    images = [_encoded(0), _encoded(1, (40, 40), ".jpg")]
    status, body = _request(server, wrap([_text(image) for image in images]))
    assert status == 200
    assert set(body["predictions"]) == set(CONTRACT)
    for name, value in expected.predict(images).items():
        np.testing.assert_allclose(body["predictions"][name], value, atol=1e-5)


def test_the_logged_request_is_one_that_the_server_takes(server):
    request = Path(mlflow.artifacts.download_artifacts(f"{server[1]}/artifacts/request.json"))
    status, body = _request(server, request.read_bytes())
    assert (status, set(body["predictions"])) == (200, set(CONTRACT))


def test_arrays_are_read_and_maps_can_be_left_out(server, expected):
    image = np.random.default_rng(2).integers(0, 255, (1, 30, 50, 3))
    status, body = _request(server, {"inputs": image.tolist(), "params": {"maps": False}})
    assert status == 200
    found = body["predictions"]
    assert set(found) == {name for name in CONTRACT if not name.startswith("mask_")}
    np.testing.assert_allclose(found["class_belief"], expected.predict(image)["class_belief"], atol=1e-5)
    assert np.sum(found["class_belief"]) + found["class_uncertainty"][0][0] == pytest.approx(1, abs=1e-5)


def test_concurrent_requests_each_get_their_own_result(server, expected):
    images = [_encoded(seed) for seed in range(12)]
    requests = [{"inputs": [_text(image)], "params": {"maps": False}} for image in images]
    with ThreadPoolExecutor(6) as pool:
        bodies = list(pool.map(lambda request: _request(server, request), requests))
    for image, (status, body) in zip(images, bodies, strict=True):
        assert status == 200
        belief = expected.predict([image])["class_belief"]
        np.testing.assert_allclose(body["predictions"]["class_belief"], belief, atol=1e-5)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ({"inputs": ["not base64!"]}, "image 0: found text that is not base64"),
        ({"inputs": [_text(b"no image")]}, "image 0: not an image that can be decoded"),
        ({"inputs": [_text(_encoded(0)), _text(_encoded(0)[:50])]}, "image 1: not an image"),
        ({"inputs": [_text(_encoded(0)), _text(_claiming_169_megapixels())]}, "found 13000 x 13000 pixels"),
        ({"inputs": [[1.0, 2.0]]}, "request: found"),
        ({"inputs": []}, "request: found"),
        ({"inputs": [_text(_encoded(0))] * 65}, "request: found 65 images, expected at most 64: divide it"),
        ({"inputs": np.full((1, 16, 16, 3), 300).tolist()}, "request: found values outside [0, 255]"),
        ({"dataframe_records": [{"image": 5}]}, "request: found"),
        ({"unknown": 1}, ""),
        (b"{not json", ""),
    ],
)
def test_malformed_requests_get_400_and_one_line(server, content, line):
    status, body = _request(server, content)
    assert status == 400
    assert line in body["message"]
    if line:
        assert "\n" not in body["message"]
        assert "stack_trace" not in body


def test_server_still_works_after_all_that(server):
    assert _request(server, {"inputs": [_text(_encoded(3))]})[0] == 200


# Prints the package of every module that loading and predicting imports, by the file of the module. Name and
# folder are asked for once a package: for each of 70,000 files they take half a minute.
IMPORTED = """\
import csv, importlib.metadata, sys
sys.modules["tblib"] = None  # TensorFlow takes it where Dask has brought it, and does without
import mlflow, numpy as np
model = mlflow.pyfunc.load_model(sys.argv[1])
model.predict(np.zeros((1, 32, 32, 3), np.uint8))
files = {}
for package in importlib.metadata.distributions():
    name, folder = package.name, package.locate_file("")
    rows = csv.reader((package.read_text("RECORD") or "").splitlines())
    files |= {f"{folder}/{row[0]}": name for row in rows}
modules = {getattr(module, "__file__", None) for module in sys.modules.values()}
print("\\n".join({files[name] for name in modules if name in files}))
"""


def _canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def _with_dependencies(names):
    """The packages and everything that is installed with them."""
    found, left = set(), [_canonical(name) for name in names]
    while left:
        name = left.pop()
        if name in found:
            continue
        found.add(name)
        try:
            lines = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        requirements = [Requirement(line) for line in lines]
        left += [_canonical(r.name) for r in requirements if not r.marker or r.marker.evaluate({"extra": ""})]
    return found


def test_a_served_model_pins_what_it_imports_and_nothing_else(trained, run_python):
    folder, _ = trained
    store = f"sqlite:///{folder}/mlruns/mlflow.db"
    mlflow.set_tracking_uri(store)
    (run,) = mlflow.search_runs(experiment_names=["uml-tf"], filter_string=TRAININGS, output_format="list")
    uri = f"runs:/{run.info.run_id}/model"
    required = Path(mlflow.artifacts.download_artifacts(artifact_uri=f"{uri}/requirements.txt"))
    pinned = {_canonical(line.partition("==")[0]) for line in required.read_text().splitlines()}
    assert pinned == {"mlflow", *SERVED_PACKAGES}
    assert mlflow.models.get_model_info(uri).metadata == {"uml_tf_version": __version__}
    output, _ = run_python("-c", IMPORTED, uri, cwd=folder, MLFLOW_TRACKING_URI=store)
    imported = {_canonical(name) for name in output.split()}
    assert pinned <= imported
    assert imported - {"uml-tf"} <= _with_dependencies(pinned)
