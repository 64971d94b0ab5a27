"""The page computes on the graphics unit only where that gives the processor's numbers."""

from __future__ import annotations

import pytest
from page_checks import ROUNDED, check_decision
from page_driver import choose, downloaded, open_page
from playwright.sync_api import sync_playwright

from uml_tf.runtime.device_model import DeviceModel

SAME_NUMBERS = 1e-3
HAS_GPU = "navigator.gpu?.requestAdapter().then(Boolean) ?? false"


@pytest.fixture
def browser_with_webgpu(chromium):
    """Chromium computes WebGPU on the processor, where it has SwiftShader and no graphics unit."""
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--enable-unsafe-webgpu"]
        running = playwright.chromium.launch(executable_path=chromium, args=flags)
        yield running
        running.close()


def _expect_python_numbers(page, path, model):
    choose(page, path)
    found, prediction = downloaded(page), model.predict(path)
    check_decision(found, prediction, model, path, ROUNDED)
    expected = prediction.to_dict(path.name)
    for key in ("class_probability", "class_belief"):
        assert found[key] == pytest.approx(expected[key], abs=SAME_NUMBERS)
    for key in (
        "class_uncertainty",
        "class_confidence",
        "familiarity",
        "mask_uncertainty",
        "mask_confidence",
    ):
        assert found[key] == pytest.approx(expected[key], abs=SAME_NUMBERS)


def test_numbers_of_webgpu_are_those_of_python(page_bundle, browser_with_webgpu, serve, images):
    bundle = page_bundle("float16")
    model = DeviceModel(bundle / "model.tflite")
    with serve(bundle) as (address, _):
        page = open_page(browser_with_webgpu, address)
        if not page.evaluate(HAS_GPU):
            pytest.skip("NOT CHECKED: the bundle's page with WebGPU; this browser has none")
        assert page.get_attribute("#model", "data-accelerator") == "webgpu"
        for name in ("colour.png", "noise.png"):
            (path,) = (path for path in images if path.name == name)
            _expect_python_numbers(page, path, model)


def test_without_webgpu_the_page_computes_on_the_processor(page_bundle, browser, serve):
    with serve(page_bundle("float16")) as (address, _):
        page = open_page(browser, address)
        assert page.evaluate(HAS_GPU) is False
        assert page.get_attribute("#model", "data-accelerator") == "wasm"
        # What decides it: no output may differ, be missing, or be no number.
        call = "(pair) => import('./model.js').then((m) => m.largestDifference(...pair))"
        assert page.evaluate(call, [{"a": [1, 2]}, {"a": [1, 2.5]}]) == 0.5
        assert page.evaluate(call, [{"a": [1, 2]}, {"a": [1]}]) == float("inf")
        assert page.evaluate(call, [{"a": [1]}, {"b": [1]}]) == float("inf")
        broken = "import('./model.js').then((m) => m.largestDifference({ a: [1] }, { a: [NaN] }))"
        assert page.evaluate(broken) == float("inf")
        page.close()
