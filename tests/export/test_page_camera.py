"""The camera view: faults of a picture are said before it is taken, and pictures follow each other."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from page_driver import open_page
from playwright.sync_api import expect

from uml_tf.runtime.density import sharpness
from uml_tf.runtime.device_model import DeviceModel
from uml_tf.runtime.images import read_image, resize_antialiased

TEXTS = json.loads((Path(__file__).parents[2] / "export/web/texts/en.json").read_text())
STATES = ("good", "dark", "bright", "blurred", "unlike")


@pytest.fixture(scope="module")
def page(page_bundle, browser, serve):
    with serve(page_bundle("float16")) as (address, _):
        one = open_page(browser, address)
        yield one
        one.close()


RECORD = """
window.streams = [];
const devices = navigator.mediaDevices, open = devices.getUserMedia.bind(devices);
devices.getUserMedia = async (wanted) => { const one = await open(wanted); streams.push(one); return one; };
"""
ACTIVE = "streams.map((stream) => stream.active)"


def test_one_stream_runs_however_often_the_camera_is_opened(page):
    page.evaluate(f"(() => {{ {RECORD} }})()")
    page.evaluate("camera.click(), camera.click()")
    page.wait_for_selector("#viewfinder:visible")
    assert page.evaluate(ACTIVE) == [True]
    page.click("#camera")
    page.wait_for_selector("#viewfinder:visible")
    assert page.evaluate(ACTIVE) == [False, True]
    page.click("#close")
    assert page.evaluate(ACTIVE) == [False, False]


def test_the_buttons_answer_as_soon_as_they_can_be_pressed(page, browser):
    """The list of kept results may take long, here for ever: what was pressed meanwhile was lost."""
    other = browser.new_page()
    other.add_init_script("indexedDB.open = () => ({})")
    other.goto(page.url)
    other.wait_for_selector("#camera:enabled", timeout=120_000)
    other.click("#camera")
    other.wait_for_selector("#viewfinder:visible")
    other.close()


def test_pictures_follow_each_other(page):
    page.click("#camera")
    page.wait_for_selector("#viewfinder:visible")
    frame = page.locator("#frame")
    expect(frame).to_have_attribute("data-state", re.compile("|".join(STATES)), timeout=60_000)
    assert page.inner_text("#frame") == TEXTS[f"frame.{page.get_attribute('#frame', 'data-state')}"]
    for count in (1, 2):
        page.focus("#shoot")
        page.keyboard.press("Enter")
        expect(page.locator("#taken")).to_have_text(f"Pictures taken: {count}")
        expect(page.locator("#kept-list li")).to_have_count(count, timeout=60_000)
    assert page.is_visible("#viewfinder")
    page.click("#close")
    assert page.is_hidden("#viewfinder")
    assert page.evaluate("document.activeElement.id") == "camera"
    assert page.evaluate("document.getElementById('video').srcObject.active") is False


def test_what_the_frame_shows_is_what_is_read(page, page_bundle):
    page.click("#camera")
    page.wait_for_selector("#viewfinder:visible")
    screen, guide = (page.locator(name).bounding_box() for name in ("#screen", "#guide"))
    page.click("#shoot")
    page.wait_for_selector("#overlay:visible", timeout=60_000)
    expect(page.locator("#status")).to_have_text(re.compile("^camera-"), timeout=60_000)
    read = page.evaluate(
        "({ w: overlay.width, h: overlay.height, W: video.videoWidth, H: video.videoHeight })"
    )
    page.click("#close")
    height, width = DeviceModel(page_bundle("float16") / "model.tflite").image_size
    assert read["w"] / read["h"] == pytest.approx(width / height, abs=0.01)
    assert guide["width"] / screen["width"] == pytest.approx(read["w"] / read["W"], abs=0.02)
    assert guide["height"] / screen["height"] == pytest.approx(read["h"] / read["H"], abs=0.02)
    # On a phone nothing is wider than the screen.
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def _blurred(image, times=12):
    for _ in range(times):
        image = (
            np.roll(image, 1, 0) + np.roll(image, -1, 0) + np.roll(image, 1, 1) + np.roll(image, -1, 1)
        ) / 4
    return image


def test_faults_are_those_of_the_pixels(page, page_bundle, photograph):
    model = DeviceModel(page_bundle("float16") / "model.tflite")
    size = list(model.image_size)
    photo = resize_antialiased(read_image(photograph), model.image_size)
    card = json.loads(json.dumps({"trust": model.metadata.card.trust.to_dict()}))
    density = model.metadata.card.trust.density.sharpness
    call = (
        "([name, seen, size, card]) => import('./gradability.js')"
        ".then((m) => m[name](Float32Array.from(seen), size, card))"
    )

    def fault(image):
        return page.evaluate(call, ["fault", image.ravel().tolist(), size, card])

    assert fault(photo) is None
    assert fault(photo * 0.1) == "dark"
    assert fault(255 - photo * 0.1) == "bright"
    blurred = _blurred(photo)
    assert sharpness(blurred[None])[0, 0] < density.mean.array[0] - 3 * density.scale.array[0]
    assert fault(blurred) == "blurred"
    found = page.evaluate(call, ["sharpness", photo.ravel().tolist(), size, None])
    assert found == pytest.approx(sharpness(photo[None].astype(np.float32))[0].tolist(), abs=1e-4)
