"""The software bill of materials of a bundle: valid, complete, the same for the same bundle."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from uml_tf.export.bundle import REQUIRED
from uml_tf.export.sbom import SBOM, installed_with, write_sbom
from uml_tf.runtime.metadata import FileMetadata
from uml_tf.runtime.model_card import ModelCard


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """A folder with the files that a bill names."""
    folder = tmp_path_factory.mktemp("bundle")
    for name in ("model.tflite", "locator.tflite", "run.py", "uml_tf_runtime.zip", "web/index.html"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(name.encode())
    card = ModelCard(("a", "b"), ("background", "c"), run_id="0" * 32)
    return folder, FileMetadata(
        card, "edge", (64, 64), "float32", (1.0, 0.0), "int8", "contract", True, "0" * 64
    )


def test_the_bill_names_everything_with_hashes(bundle):
    folder, metadata = bundle
    write_sbom(folder, metadata, REQUIRED)
    found = json.loads((folder / SBOM).read_text())
    parts = {part["bom-ref"]: part for part in found["components"]}
    model = parts["file:model.tflite"]
    assert model["type"] == "machine-learning-model"
    assert model["version"] == "0" * 32
    assert model["hashes"] == [{"alg": "SHA-256", "content": hashlib.sha256(b"model.tflite").hexdigest()}]
    assert f"pkg:pypi/numpy@{np.__version__}" in parts
    assert {f"pkg:pypi/{name}@" in " ".join(parts) for name in installed_with(REQUIRED)} == {True}
    assert any(reference.startswith("pkg:npm/%40litertjs/core@") for reference in parts)
    needs = {one["ref"]: set(one.get("dependsOn", ())) for one in found["dependencies"]}
    opencv = next(reference for reference in parts if "/opencv-python-headless@" in reference)
    assert f"pkg:pypi/numpy@{np.__version__}" in needs[opencv]
    assert needs["bundle"] >= {"file:model.tflite", "file:locator.tflite", opencv}


def test_it_is_valid_and_the_same_again_but_for_its_time(bundle):
    folder, metadata = bundle
    texts = [write_sbom(folder, metadata, REQUIRED).read_text() for _ in range(2)]
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(texts[0]) is None
    first, again = map(json.loads, texts)
    for one in (first, again):
        del one["metadata"]["timestamp"]
    assert first == again


def test_a_package_for_another_system_is_left_out():
    found = installed_with(["uml-tf"])
    assert "numpy" in found["uml-tf"]
    assert "cuda-python" not in found
