"""The bundle's page in a real browser says what the Python runtime says, and refuses what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace

import cv2
import numpy as np
import pictures
import pytest
from page_checks import (
    EXACT,
    ROUNDED,
    STRAY_EDGES,
    at_the_same_part,
    check_decision,
    check_json,
    check_text,
)
from page_driver import choose, downloaded, open_page, watched

from uml_tf.export.metadata import add_metadata
from uml_tf.runtime.device_model import DeviceModel
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.images import read_image, write_png
from uml_tf.runtime.opening import open_device_model
from uml_tf.runtime.roi import Roi


@pytest.fixture(scope="module", params=["float16", "int8"])
def bundle(request, page_bundle):
    """(kind, folder) of a bundle with its page, and with thresholds that tell the images apart."""
    return request.param, page_bundle(request.param)


@pytest.fixture(scope="module")
def page(bundle, browser, serve):
    with serve(bundle[1]) as (address, _), watched(browser, address) as one:
        yield one


def test_page_says_what_python_says_about_24_kinds_of_image(page, bundle, images):
    kind, folder = bundle
    model = DeviceModel(folder / "model.tflite")
    assert len(images) == 24
    decisions, ratios, stray = set(), set(), 0
    for path in images:
        prediction = model.predict(path)
        height, width = prediction.mask.shape
        assert choose(page, path).startswith(f"{path.name}: {width} x {height} pixels, ")
        found = downloaded(page)
        lossy = path.suffix == ".jpg" or path.stem == "lossy"
        allowed = ROUNDED if kind == "int8" or lossy else EXACT
        stray += check_json(found, prediction, path.name, allowed, model.image_size)
        check_decision(found, prediction, model, path, allowed)
        check_text(page, found, (height, width))
        decisions.add(found["decision"])
        ratios.add(found.get("vertical_cup_to_disc_ratio"))
    assert stray <= STRAY_EDGES[kind]
    # The images are different enough for the comparison to mean something.
    assert decisions == {"accept", "refer", "ungradable"}
    assert len(ratios) > 8


@pytest.mark.parametrize("fit", ["letterbox", "crop", "stretch of the part around the disc"])
def test_page_and_python_fit_pictures_alike(bundle, fit, browser, serve, photograph, tmp_path):
    kind, folder = bundle
    fit, _, located = fit.partition(" ")
    for name in ("web", "example.png"):
        (tmp_path / name).symlink_to(folder / name)
    # The file of the bundle with another fit in its card: what the network says of it need not be right.
    data, metadata = (folder / "model.tflite").read_bytes(), DeviceModel(folder / "model.tflite").metadata
    roi = Roi("disc", 0.1, metadata.weights_sha256) if located else None
    if located:
        (tmp_path / "locator.tflite").symlink_to(folder / "model.tflite")
    other = replace(metadata, card=replace(metadata.card, fit=fit, roi=roi))
    (tmp_path / "model.tflite").write_bytes(add_metadata(data, other, names=False))
    model, picture = open_device_model(tmp_path / "model.tflite"), read_image(photograph)
    assert model.card.fit == fit
    parts = {
        "wide.png": picture[20:77],
        "tall.png": picture[:, 30:81],
        "thin.png": picture[40:50],
        "large.png": cv2.resize(picture, (401, 262)),
        "square.png": picture,
    }
    if located:
        parts["no-disc.png"] = np.full_like(picture, 90)
    with serve(tmp_path) as (address, _):
        page = open_page(browser, address)
        for name, part in parts.items():
            path = tmp_path / name
            write_png(path, np.ascontiguousarray(part))
            prediction = model.predict(path)
            choose(page, path)
            found = downloaded(page)
            check_text(page, found, part.shape[:2])
            allowed = ROUNDED if kind == "int8" else EXACT
            if kind == "int8":
                prediction = at_the_same_part(found, prediction, model, path)
            if located:
                assert found["roi"] == json.loads(json.dumps(prediction.roi))
            assert check_json(found, prediction, name, allowed, model.image_size) <= STRAY_EDGES[kind]
            check_decision(found, prediction, model, path, allowed)
            sides = sorted(part.shape[:2])
            if fit == "crop":  # what is not read is background
                assert sum(found["pixels"][n]["area"] for n in ("rim", "cup")) <= sides[0] ** 2
        page.close()


def test_page_refuses_what_python_refuses(page, bundle, photograph, tmp_path):
    model = DeviceModel(bundle[1] / "model.tflite")
    undecodable = "This is not an image that the browser can decode"
    expected = {
        "empty.png": undecodable,
        "narrow.png": "The image has 7 x 30 pixels, at least 8 on each side are needed",
        "sixteen-bit-grey.png": "The image has 16-bit pixels, 8-bit is needed; rescale the image first",
        "sixteen-bit.png": "The image has 16-bit pixels, 8-bit is needed; rescale the image first",
        "text.png": undecodable,
        "transparent-palette.png": "The image has transparent parts, RGB or grey is needed",
        "transparent.png": "The image has transparent parts, RGB or grey is needed",
        "truncated.jpg": undecodable,
        "truncated.png": undecodable,
    }
    paths = pictures.refused(tmp_path, photograph)
    assert {path.name for path in paths} == set(expected)
    for path in paths:
        if path.stem.startswith("sixteen"):  # browsers give 8 bits of it, Python maps all 16
            model.predict(path)
        else:
            with pytest.raises(UmlError, match=path.name):
                model.predict(path)
        assert choose(page, path) == f"{path.name}: {expected[path.name]}"
        assert page.get_attribute("#status", "data-error") is not None
        assert page.is_hidden("#result")


def test_tiff_is_read_by_python_alone(page, bundle, photograph, tmp_path):
    path = tmp_path / "scan.tif"
    cv2.imwrite(str(path), cv2.imread(str(photograph)))
    DeviceModel(bundle[1] / "model.tflite").predict(path)
    assert choose(page, path) == "scan.tif: This is not an image that the browser can decode"
