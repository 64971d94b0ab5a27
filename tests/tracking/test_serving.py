"""The logged model behind MLflow's own server, asked over HTTP."""

from __future__ import annotations

import base64
import json
import os
import socket
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import mlflow
import numpy as np
import pytest

from uml_tf.runtime.contract import CONTRACT


@pytest.fixture(scope="module")
def server(trained):
    folder, _ = trained
    store = f"sqlite:///{folder}/mlruns/mlflow.db"
    mlflow.set_tracking_uri(store)
    (run,) = mlflow.search_runs(experiment_names=["uml-tf"], output_format="list")
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


def _ask(server, content):
    """(status, answer) of a request."""
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
def test_encoded_images_are_answered_with_the_contract(server, expected, wrap):
    images = [_encoded(0), _encoded(1, (40, 40), ".jpg")]
    status, answer = _ask(server, wrap([_text(image) for image in images]))
    assert status == 200
    assert set(answer["predictions"]) == set(CONTRACT)
    for name, value in expected.predict(images).items():
        np.testing.assert_allclose(answer["predictions"][name], value, atol=1e-5)


def test_arrays_are_answered_and_maps_can_be_left_out(server, expected):
    image = np.random.default_rng(2).integers(0, 255, (1, 30, 50, 3))
    status, answer = _ask(server, {"inputs": image.tolist(), "params": {"maps": False}})
    assert status == 200
    found = answer["predictions"]
    assert set(found) == {name for name in CONTRACT if name.startswith("class_")}
    np.testing.assert_allclose(found["class_belief"], expected.predict(image)["class_belief"], atol=1e-5)
    assert np.sum(found["class_belief"]) + found["class_uncertainty"][0][0] == pytest.approx(1, abs=1e-5)


def test_concurrent_requests_each_get_their_own_answer(server, expected):
    images = [_encoded(seed) for seed in range(12)]
    requests = [{"inputs": [_text(image)], "params": {"maps": False}} for image in images]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda request: _ask(server, request), requests))
    for image, (status, answer) in zip(images, answers, strict=True):
        assert status == 200
        belief = expected.predict([image])["class_belief"]
        np.testing.assert_allclose(answer["predictions"]["class_belief"], belief, atol=1e-5)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ({"inputs": ["not base64!"]}, "image 0: found text that is not base64"),
        ({"inputs": [_text(b"no image")]}, "image 0: not an image that can be decoded"),
        ({"inputs": [_text(_encoded(0)), _text(_encoded(0)[:50])]}, "image 1: not an image"),
        ({"inputs": [_text(_encoded(0)), _text(_claiming_169_megapixels())]}, "found 13000 x 13000 pixels"),
        ({"inputs": [[1.0, 2.0]]}, "request: found"),
        ({"inputs": []}, "request: found"),
        ({"inputs": np.full((1, 16, 16, 3), 300).tolist()}, "request: found values outside [0, 255]"),
        ({"dataframe_records": [{"image": 5}]}, "request: found"),
        ({"unknown": 1}, ""),
        (b"{not json", ""),
    ],
)
def test_malformed_requests_get_400_and_one_line(server, content, line):
    status, answer = _ask(server, content)
    assert status == 400
    assert line in answer["message"]
    if line:
        assert "\n" not in answer["message"]
        assert "stack_trace" not in answer


def test_server_still_answers_after_all_that(server):
    assert _ask(server, {"inputs": [_text(_encoded(3))]})[0] == 200
