"""The bundle's page in a real browser says what the Python runtime says, and keeps to its policy."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pictures
import pytest
from playwright.sync_api import expect, sync_playwright
from unchecked import not_checked

from uml_tf.export.bundle import write_bundle
from uml_tf.export.calibration import calibration_files, read_calibration
from uml_tf.export.convert import convert
from uml_tf.export.kinds import KINDS
from uml_tf.export.litert_js import litert_js
from uml_tf.export.metadata import add_metadata
from uml_tf.runtime.device_model import DeviceModel
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.images import read_image, resize_antialiased, write_png
from uml_tf.runtime.opening import open_device_model
from uml_tf.runtime.placement import Box, place
from uml_tf.runtime.referral import FAMILIAR
from uml_tf.runtime.roi import Roi
from uml_tf.runtime.two_pass import TwoPass
from uml_tf.tracking.models import load_trained

TITLES = {
    "accept": "Accept",
    "refer": "Refer to a specialist",
    "ungradable": "Ungradable: take another image",
}
WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation",
  (event) => window.violations.push(`${event.effectiveDirective} ${event.blockedURI}`));
"""


class Tolerance(NamedTuple):
    """What may differ between browser and Python.

    A float file gives the same numbers. An int8 file rounds its input: a difference of 1e-5 in the resized
    image can move a pixel by a whole grey level. Other versions of a browser may decode JPEG and lossy WebP
    differently from OpenCV, by a few grey levels.
    """

    number: float
    area: float  # share of the image's pixels
    box: float  # in pixels of the network's input


EXACT = Tolerance(1e-4, 0, 0)
# A box is the most sensitive: one pixel of the network's input decides it.
ROUNDED = Tolerance(0.01, 0.02, 4)
STRAY_EDGES = {"float16": 0, "int8": 4}
"""Edges of boxes that may lie further off, of all images together: one stray pixel moves the boxes of its
region and of the union with others, each at two of their four numbers."""


@pytest.fixture(scope="module")
def photograph(phantoms):
    return phantoms.root / phantoms.rows[0].image


@pytest.fixture(scope="module")
def images(photograph, tmp_path_factory):
    """24 kinds of image that both runtimes read."""
    return pictures.readable(tmp_path_factory.mktemp("images"), photograph)


def _between(values, share):
    """A threshold that this share of the values lies below, half-way between two of them."""
    values = sorted(values)
    place = round(len(values) * share)
    return float(values[place - 1] + values[place]) / 2


def _with_thresholds(card, model, images):
    """The card with thresholds at which the images get all three decisions."""
    seen = [resize_antialiased(read_image(path), model.image_size) for path in images]
    outputs = [model(image[None]) for image in seen]
    gradable = [one for one in outputs if one["familiarity"][0, 0] >= FAMILIAR]
    assert 1 < len(gradable) < len(outputs)
    confidence = [float(one["class_confidence"][0, 0]) for one in gradable]
    return replace(card, accept_above=_between(confidence, 0.5))


@pytest.fixture(scope="module", params=["float16", "int8"])
def bundle(request, chromium, trained_longer, phantoms, images, tmp_path_factory):
    """(kind, folder) of a bundle with its page, and with thresholds that tell the images apart."""
    try:
        litert_js()
    except UmlError as error:
        not_checked(f"NOT CHECKED: the bundle's page in a browser; {error}")
    (path,) = trained_longer.glob("mlruns/runs/*/model.keras")
    network, card = load_trained(str(path))
    calibration = read_calibration(calibration_files(phantoms, 30), network.image_size)
    metadata, converted = convert(network, KINDS[f"tflite-{request.param}"], calibration)
    (file,) = converted.files
    folder = tmp_path_factory.mktemp(request.param)
    model = folder / file.name
    model.write_bytes(file.pack(metadata))
    metadata = replace(metadata, card=_with_thresholds(card, file.open(model), images))
    model.write_bytes(file.pack(metadata))
    write_bundle(folder, metadata, images[0], web=True)
    return request.param, folder


@pytest.fixture(scope="module")
def browser(chromium):
    flags = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=flags)
        yield running
        running.close()


def _open(browser, address):
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.add_init_script(WATCH)
    page.goto(f"{address}/web/")
    page.wait_for_selector("#file:enabled", timeout=120_000)
    return page


@pytest.fixture(scope="module")
def page(bundle, browser, serve):
    """The bundle's page, loaded. At the end, it has asked no other address and broken no policy."""
    urls = []
    with serve(bundle[1]) as (address, _):
        one = _open(browser, address)
        one.on("request", lambda request: urls.append(request.url))
        yield one
        assert [url for url in urls if not url.startswith((address, "blob:", "data:"))] == []
        assert one.evaluate("window.violations") == []
        one.close()


def _choose(page, path):
    """Gives the page a file and waits until it has been read or refused; returns the status line."""
    page.evaluate("document.querySelector('#status').textContent = ''")
    page.set_input_files("#file", path)
    expect(page.locator("#status")).to_have_text(re.compile(rf"^{re.escape(path.name)}:"), timeout=60_000)
    return page.inner_text("#status")


def _downloaded(page):
    page.wait_for_selector("#result:visible", timeout=60_000)
    with page.expect_download() as download:
        page.click("#download")
    return json.loads(Path(download.value.path()).read_text())


def _numbers(text):
    return [float(number) for number in re.findall(r"\d+\.\d+", text)]


def _words(text):
    return re.sub(r"\d+\.\d+", "#", text)


def _check_json(found, prediction, name, allowed, input_size):
    """Checks every entry; returns how many edges of boxes lie further off than is allowed."""
    stray = 0
    expected = prediction.to_dict(name)
    assert list(found) == list(expected)
    assert found["image"] == name
    assert found["class"] == expected["class"]
    for key in ("class_probability", "class_belief"):
        assert found[key] == pytest.approx(expected[key], abs=allowed.number)
    parts = [f"{part}_{kind}" for part in ("class", "mask") for kind in ("uncertainty", "confidence")]
    for key in (*parts, "familiarity"):
        assert found[key] == pytest.approx(expected[key], abs=allowed.number)
    assert list(found["pixels"]) == list(expected["pixels"])
    height, width = prediction.mask.shape
    for region, value in expected["pixels"].items():
        assert found["pixels"][region]["area"] == pytest.approx(
            value["area"], abs=allowed.area * prediction.mask.size
        )
        box = found["pixels"][region]["box"]
        assert (box is None) == (value["box"] is None)
        if box:
            for place, true, side, steps in zip(
                box, value["box"], (width, height) * 2, input_size[::-1] * 2, strict=True
            ):
                stray += abs(place - true) > allowed.box * max(1, side / steps)
    if "vertical_cup_to_disc_ratio" in expected:
        # The heights of the two boxes decide it: of a small disc, one row that rounding moves is much of it.
        cup, disc = (found["pixels"][name]["box"] for name in ("cup", "disc"))
        ratio = cup[3] / disc[3] if cup else 0
        assert found["vertical_cup_to_disc_ratio"] == pytest.approx(ratio, abs=1e-6)
    return stray


class ReadAt(TwoPass):
    """A network in two passes that reads the part that the page read."""

    def __init__(self, model, box):
        super().__init__(model.network, model.locator)
        self.box = box

    def place(self, image):
        placement = super().place(image)
        around = replace(placement.around, box=self.box)
        return replace(place(self.card.fit, placement.original, self.image_size, self.box), around=around)


def _at_the_same_part(found, prediction, model, path):
    """Python's answer for the part that the page read, where rounding in the locator moved it by a pixel."""
    own, true = found.get("roi"), prediction.roi
    assert (own is None) == (true is None)
    if own is None or own["box"] is None or true["box"] is None:
        assert own == true
        return prediction
    (left, top, width, height), (x, y, w, h) = own["box"], true["box"]
    rows, columns = (
        side / size for side, size in zip(prediction.mask.shape, model.locator.image_size, strict=True)
    )
    assert max(abs(left - x), abs(left + width - x - w)) <= columns + 1
    assert max(abs(top - y), abs(top + height - y - h)) <= rows + 1
    return ReadAt(model, Box(top, left, height, width)).predict(path)


def _check_decision(found, prediction, model, path, allowed):
    """Decision and reason are equal, except for images closer to a threshold than the allowed difference."""
    distances = (
        prediction.class_confidence - model.card.accept_above,
        prediction.familiarity - FAMILIAR,
    )
    if min(map(abs, distances)) <= allowed.number:
        return
    assert found["decision"] == prediction.decision.action
    assert _words(found["reason"]) == _words(prediction.decision.reason)
    # Both are rounded, to three places or to two.
    rounding = 0.011 if found["decision"] == "ungradable" else 0.0011
    expected = _numbers(prediction.decision.reason)
    assert _numbers(found["reason"]) == pytest.approx(expected, abs=allowed.number + rounding)


def _check_text(page, found, shape):
    """The page shows what its JSON says."""
    assert page.inner_text("#action") == TITLES[found["decision"]]
    assert page.get_attribute("#decision", "data-action") == found["decision"]
    assert page.inner_text("#reason") == f"{found['reason']}."
    name, number, confidence = re.split(", probability |, confidence ", page.inner_text("#class"))
    assert name == found["class"]
    assert float(confidence) == pytest.approx(found["class_confidence"], abs=6e-4)
    assert float(number) == pytest.approx(found["class_probability"][name], abs=6e-4)
    masses = {f"belief in {n}": b for n, b in found["class_belief"].items()}
    masses["uncertainty"] = found["class_uncertainty"]
    for shown in (
        page.get_attribute("#mass", "aria-label").split(", "),
        page.locator("#mass-legend li").all_inner_texts(),
    ):
        pairs = [part.strip().rsplit(" ", 1) for part in shown]
        assert {key: float(value) for key, value in pairs} == pytest.approx(masses, abs=6e-4)
    rows = [row.split("\t") for row in page.locator("#regions tr").all_inner_texts()]
    assert rows == [[region, f"{value['area']:,}"] for region, value in found["pixels"].items()]
    ratio = found.get("vertical_cup_to_disc_ratio")
    shown = page.inner_text("#ratio")
    if ratio is None:
        assert shown == ""
    else:
        assert _words(shown) == "Vertical cup-to-disc ratio #"
        assert _numbers(shown) == [pytest.approx(ratio, abs=6e-3)]
    listed = ", ".join(f"{region} {value['area']} pixels" for region, value in found["pixels"].items())
    assert (
        page.get_attribute("#overlay", "aria-label")
        == f"{found['image']} with its regions outlined: {listed}"
    )
    (mean,) = _numbers(page.get_attribute("#uncertainty", "aria-label"))
    assert mean == pytest.approx(found["mask_uncertainty"], abs=6e-4)
    size = page.evaluate(
        "['overlay', 'uncertainty'].map((id) => [document.getElementById(id).height, "
        "document.getElementById(id).width])"
    )
    assert size == [list(shape)] * 2


def test_page_says_what_python_says_about_24_kinds_of_image(page, bundle, images):
    kind, folder = bundle
    model = DeviceModel(folder / "model.tflite")
    assert len(images) == 24
    decisions, ratios, stray = set(), set(), 0
    for path in images:
        prediction = model.predict(path)
        height, width = prediction.mask.shape
        assert _choose(page, path).startswith(f"{path.name}: {width} x {height} pixels, ")
        found = _downloaded(page)
        lossy = path.suffix == ".jpg" or path.stem == "lossy"
        allowed = ROUNDED if kind == "int8" or lossy else EXACT
        stray += _check_json(found, prediction, path.name, allowed, model.image_size)
        _check_decision(found, prediction, model, path, allowed)
        _check_text(page, found, (height, width))
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
        page = _open(browser, address)
        for name, part in parts.items():
            path = tmp_path / name
            write_png(path, np.ascontiguousarray(part))
            prediction = model.predict(path)
            _choose(page, path)
            found = _downloaded(page)
            _check_text(page, found, part.shape[:2])
            allowed = ROUNDED if kind == "int8" else EXACT
            if kind == "int8":
                prediction = _at_the_same_part(found, prediction, model, path)
            if located:
                assert found["roi"] == json.loads(json.dumps(prediction.roi))
            assert _check_json(found, prediction, name, allowed, model.image_size) <= STRAY_EDGES[kind]
            _check_decision(found, prediction, model, path, allowed)
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
        with pytest.raises(UmlError, match=path.name):
            model.predict(path)
        assert _choose(page, path) == f"{path.name}: {expected[path.name]}"
        assert page.get_attribute("#status", "data-error") is not None
        assert page.is_hidden("#result")


def test_tiff_is_read_by_python_alone(page, bundle, photograph, tmp_path):
    path = tmp_path / "scan.tif"
    cv2.imwrite(str(path), cv2.imread(str(photograph)))
    DeviceModel(bundle[1] / "model.tflite").predict(path)
    assert _choose(page, path) == "scan.tif: This is not an image that the browser can decode"


def test_page_draws_mask_and_uncertainty(page, photograph):
    _choose(page, photograph)
    page.wait_for_selector("#result:visible")
    for canvas in ("overlay", "uncertainty"):
        spread = page.evaluate(
            "id => { const c = document.getElementById(id);"
            "const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
            "return new Set(d).size }",
            canvas,
        )
        assert spread > 10
    # On a phone nothing is wider than the screen.
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_page_works_from_the_keyboard_and_from_the_camera(page):
    page.evaluate("document.querySelector('#result').hidden = true; document.body.focus()")
    page.focus("#example")
    page.keyboard.press("Enter")
    assert _downloaded(page)["image"] == "example.png"
    page.focus("#camera")
    page.keyboard.press("Enter")
    page.wait_for_selector("#viewfinder:visible")
    page.keyboard.press("Enter")
    expect(page.locator("#status")).to_have_text(re.compile("^camera.png:"), timeout=60_000)
    assert _downloaded(page)["image"] == "camera.png"


def test_policy_blocks_foreign_code_and_requests(bundle, browser, serve, tmp_path):
    (tmp_path / "foreign.js").write_text("window.foreign = true;")
    with serve(bundle[1]) as (address, _), serve(tmp_path) as (other, requested):
        page = _open(browser, address)
        page.evaluate(
            """(other) => {
              const add = (name, set) =>
                document.body.append(Object.assign(document.createElement(name), set));
              add("script", { textContent: "window.inline = true" });
              add("script", { src: `${other}/foreign.js` });
              add("img", { src: `${other}/foreign.png` });
              const html = '<p style="color: red" onclick="window.inline = true">x</p>';
              document.body.insertAdjacentHTML("beforeend", html);
              document.body.lastElementChild.click();
              return fetch(`${other}/data.json`).catch(() => null);
            }""",
            other,
        )
        assert page.evaluate("[window.inline, window.foreign]") == [None, None]
        blocked = page.evaluate("window.violations.map((line) => line.split(' ')[0])")
        assert set(blocked) == {
            "script-src-elem",
            "script-src-attr",
            "style-src-attr",
            "img-src",
            "connect-src",
        }
        assert requested == []
        page.close()


def test_policy_names_the_hash_of_the_import_map():
    text = (Path(__file__).parents[2] / "export/web/index.html").read_text()
    (inline,) = re.findall(r"<script[^>]*>([^<]+)</script>", text)
    digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in text
    assert "style=" not in text
    assert not re.search(r"\son\w+=", text)
    assert "unsafe-inline" not in text
