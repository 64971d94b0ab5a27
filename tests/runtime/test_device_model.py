"""The device runtime: its predictions, and how it refuses damaged files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from small_networks import SIZE

from uml_tf.export.flatbuffer import read_model
from uml_tf.runtime.device_model import DeviceModel
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.metadata import FORMAT, METADATA_NAME, read_metadata, seal


@pytest.fixture(scope="module")
def model(exported):
    return DeviceModel(exported, threads=1)


def _photograph(height, width, seed=0):
    rng = np.random.default_rng(seed)
    small = rng.uniform(0, 255, (6, 6, 3)).astype(np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize(("height", "width"), [SIZE, (8, 8), (300, 41), (33, 500)])
def test_prediction_has_the_size_of_the_image(model, height, width):
    found = model.predict(_photograph(height, width))
    assert found.mask.shape == found.mask_uncertainty.shape == (height, width)
    assert sum(found.class_belief.values()) + found.class_uncertainty == pytest.approx(1, abs=1e-5)
    assert found.decision.action in ("accept", "refer", "ungradable")
    foreground = sum(found.regions[f"region {i}"].area for i in (1, 2))
    assert foreground == (found.mask > 0).sum()


def test_grey_is_three_equal_channels(model, tmp_path):
    photo = _photograph(70, 90)[..., 0]
    cv2.imwrite(str(tmp_path / "grey.png"), photo)
    read = model.predict(tmp_path / "grey.png")
    given = model.predict(np.repeat(photo[..., None], 3, axis=2))
    assert read.class_belief == given.class_belief


def test_exif_orientation_is_applied(model, tmp_path):
    photo = _photograph(60, 100)
    encoded = cv2.imencode(".jpg", photo[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
    # Orientation 6: the camera was turned, the picture is to be turned clockwise.
    body = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    tagged = encoded[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + encoded[2:]
    (tmp_path / "plain.jpg").write_bytes(encoded)
    (tmp_path / "turned.jpg").write_bytes(tagged)
    plain = cv2.cvtColor(cv2.imread(str(tmp_path / "plain.jpg")), cv2.COLOR_BGR2RGB)
    turned = model.predict(np.ascontiguousarray(np.rot90(plain, -1)))
    read = model.predict(tmp_path / "turned.jpg")
    assert read.mask.shape == (100, 60)
    assert read.class_belief == pytest.approx(turned.class_belief, abs=1e-6)


def test_runtime_imports_no_tensorflow(exported, tmp_path):
    code = (
        "import sys; from pathlib import Path; from uml_tf.runtime.main import main;"
        "status = main(Path(sys.argv[1]), [sys.argv[2], '--out', sys.argv[3]]);"
        "heavy = {'tensorflow', 'keras', 'mlflow', 'scipy', 'matplotlib', 'click'} & set(sys.modules);"
        "assert not heavy, heavy; sys.exit(status)"
    )
    cv2.imwrite(str(tmp_path / "photo.png"), _photograph(50, 80))
    arguments = [sys.executable, "-c", code, exported, tmp_path / "photo.png", tmp_path / "predictions"]
    done = subprocess.run(list(map(str, arguments)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    written = {path.name for path in (tmp_path / "predictions").iterdir()}
    assert written == {
        "photo.json",
        "photo_mask.png",
        "photo_overlay.png",
        "photo_uncertainty.png",
        "photo_doubt.png",
    }


def _resealed(data, change):
    """The file with changed metadata and a SHA-256 that fits them."""
    model = read_model(data)
    (entry,) = (e for e in model.metadata if e.name == METADATA_NAME.encode())
    text = bytes(model.buffers[entry.buffer].data)
    values = json.loads(text)
    change(values)
    values["sha256"] = "0" * 64
    changed = json.dumps(values).encode()
    assert len(changed) <= len(text)
    changed = changed[:-1] + b" " * (len(text) - len(changed)) + b"}"
    return seal(data.replace(text, changed), changed)


def test_newer_format_is_refused(exported):
    def change(values):
        values["format"] = 9
        del values["intended_use"]

    with pytest.raises(UmlError, match=f"format: found 9, expected at most {FORMAT}: use a newer uml-tf"):
        read_metadata(_resealed(exported.read_bytes(), change), exported)


def test_the_page_reads_the_newest_format():
    page = (Path(__file__).parents[2] / "export/web/metadata.js").read_text()
    assert f"\nconst FORMAT = {FORMAT};\n" in page


@pytest.mark.parametrize("name", ["card", "image_size", "preset", "format"])
def test_missing_metadata_field_is_named(exported, name):
    with pytest.raises(UmlError, match="metadata: found"):
        read_metadata(_resealed(exported.read_bytes(), lambda values: values.pop(name)), exported)


def test_metadata_that_do_not_fit_the_file_are_refused(exported, tmp_path):
    data = _resealed(exported.read_bytes(), lambda values: values.update(image_size=[32, 64]))
    (tmp_path / "other.tflite").write_bytes(data)
    with pytest.raises(UmlError, match=r"input: found shape \(64, 64, 3\), expected \(32, 64, 3\)"):
        DeviceModel(tmp_path / "other.tflite")


def _damaged(data, rng):
    """The file cut off, with a flipped bit, with random bytes inside, behind or at its start."""
    kind, changed = rng.integers(5), bytearray(data)
    if kind == 0:
        return bytes(changed[: rng.integers(len(changed))])
    if kind == 1:
        changed[rng.integers(len(changed))] ^= 1 << rng.integers(8)
    elif kind == 2:
        place = rng.integers(len(changed))
        changed[place : place + 64] = rng.bytes(min(64, len(changed) - place))
    elif kind == 3:
        return bytes(changed) + rng.bytes(rng.integers(1, 64))
    else:
        changed[: rng.integers(1, 200)] = rng.bytes(rng.integers(1, 200))
    return bytes(changed)


def test_every_damaged_model_is_refused_in_one_line(exported, tmp_path):
    rng, data, path = np.random.default_rng(0), exported.read_bytes(), tmp_path / "damaged.tflite"
    for _ in range(400):
        path.write_bytes(_damaged(data, rng))
        with pytest.raises(UmlError) as caught:
            DeviceModel(path)
        assert "damaged.tflite" in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif", ".webp"])
def test_damaged_image_is_refused_or_read_whole(model, tmp_path, suffix):
    rng, path = np.random.default_rng(len(suffix)), tmp_path / f"damaged{suffix}"
    data = cv2.imencode(suffix, _photograph(40, 56))[1].tobytes()
    refused = []
    for _ in range(80):
        path.write_bytes(_damaged(data, rng))
        try:
            found = model.predict(path)
        except UmlError as error:
            refused.append(str(error))
            continue
        assert found.mask.ndim == 2
        assert found.mask.shape == found.mask_uncertainty.shape
        assert np.isfinite(found.mask_uncertainty).all()
        assert sum(found.class_belief.values()) + found.class_uncertainty == pytest.approx(1, abs=1e-5)
    assert refused
    assert not any("\n" in line for line in refused)


def test_foreign_files_are_refused(tmp_path):
    for name, content, found in [
        ("text.tflite", b"not a model", "found no TFLite file"),
        ("empty.tflite", b"", "found no TFLite file"),
        ("onnx.tflite", b"\x08\x07\x12\x07pytorch" * 9, "found no TFLite file"),
    ]:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UmlError, match=found):
            DeviceModel(tmp_path / name)
    with pytest.raises(UmlError, match="cannot be read"):
        DeviceModel(tmp_path / "absent.tflite")
