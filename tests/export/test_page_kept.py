"""Results stay on the device until they are deleted, and leave it as one ZIP file."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import zipfile

import cv2
import numpy as np
import pytest
from page_checks import ROUNDED, check_decision
from page_driver import downloaded, open_page
from playwright.sync_api import expect

from uml_tf.runtime.device_model import DeviceModel


@pytest.fixture
def context(browser):
    one = browser.new_context()
    yield one
    one.close()


def _listed(page, count):
    expect(page.locator("#kept-list li")).to_have_count(count, timeout=60_000)


def _exported(page):
    """Name -> content of the ZIP file."""
    with page.expect_download() as download:
        page.click("#export")
    with zipfile.ZipFile(download.value.path()) as archive:
        assert archive.testzip() is None
        files = {name: archive.read(name) for name in archive.namelist()}
        assert len({name.lower() for name in files}) == len(archive.infolist())
        return files


def _pixels(png):
    return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)


def _opened_again(page, address):
    context = page.context
    page.close()
    return open_page(context, address)


ENDINGS = ("_mask.png", "_overlay.png", "_uncertainty.png", "_doubt.png", ".json")
UNDECODABLE = "This is not an image that the browser can decode"


def _failures(page, *lines):
    expect(page.locator("#status[data-error]")).to_have_text(re.compile(lines[-1]), timeout=60_000)
    found = page.inner_text("#status").splitlines()
    assert len(found) == len(lines)
    for line, expected in zip(found, lines, strict=True):
        assert re.fullmatch(expected, line)


def _check_names_and_failures(page, photograph, folder):
    """The failed of several images are said at the end; no result has the file name of another's picture."""
    broken, *images = (folder / name for name in ("broken.png", "a.png", "a_mask.png", "results.csv"))
    broken.write_text("no image")
    for image in images:
        shutil.copy(photograph, image)
    page.set_input_files("#file", [broken, *images])
    _failures(page, f"broken.png: {UNDECODABLE}")
    assert page.is_visible("#result")
    _listed(page, 3)
    names = {stem + end for stem in ("a", "a_mask-2", "results-2") for end in ENDINGS}
    assert set(_exported(page)) == names | {"a.png", "a_mask-2.png", "results-2.csv", "results.csv"}
    # The browser's own limit on storage cannot be reached with images of a test's size.
    page.evaluate("void (IDBObjectStore.prototype.add = () => { throw new Error('full'); })")
    page.set_input_files("#file", [images[0], broken, images[1]])
    not_kept = "read, but not kept on this device: full"
    _failures(page, f"a.png: {not_kept}", f"broken.png: {UNDECODABLE}", f"a_mask.png: {not_kept}")
    _listed(page, 3)


def test_results_are_kept_shown_again_exported_and_deleted(page_bundle, context, serve, photograph, tmp_path):
    bundle = page_bundle("float16")
    model = DeviceModel(bundle / "model.tflite")
    (tmp_path / "other").mkdir()
    first, second = tmp_path / "=eye.jpg", tmp_path / "other/=EYE.png"
    shutil.copy(photograph, first)
    cv2.imwrite(str(second), cv2.imread(str(photograph))[10:70])
    for name in ("a", "b"):
        (tmp_path / name).symlink_to(bundle)
    with serve(tmp_path) as (address, _):
        page = open_page(context, f"{address}/a")
        page.set_input_files("#file", [first, second])  # several at once
        _listed(page, 2)
        page = _opened_again(page, f"{address}/b")  # another bundle of the server has none of them
        _listed(page, 0)
        page = _opened_again(page, f"{address}/a")  # they outlive the page
        _listed(page, 2)
        files = _exported(page)
        expected = {stem + end for stem in ("=eye", "=EYE-2") for end in ENDINGS}
        assert set(files) == expected | {"=eye.jpg", "=EYE-2.png", "results.csv"}
        for path, stem in ((first, "=eye"), (second, "=EYE-2")):
            prediction, found = model.predict(path), json.loads(files[f"{stem}.json"])
            assert files[stem + path.suffix] == path.read_bytes()
            mask = _pixels(files[f"{stem}_mask.png"])
            assert (mask.dtype, mask.ndim) == (np.uint8, 2)
            if path.suffix == ".png":  # browsers and OpenCV need not decode a JPEG alike
                np.testing.assert_array_equal(mask, prediction.mask)
            areas = {name: region["area"] for name, region in found["pixels"].items()}
            assert areas["cup"] == (mask == list(model.card.pixel_classes).index("cup")).sum()
            check_decision(found, prediction, model, path, ROUNDED)
            assert _pixels(files[f"{stem}_overlay.png"]).shape[:2] == prediction.mask.shape
        rows = list(csv.DictReader(io.StringIO(files["results.csv"].decode())))
        assert [row["file"] for row in rows] == ["'=eye.json", "'=EYE-2.json"]  # no formulas
        assert rows[0]["decision"] == json.loads(files["=eye.json"])["decision"]
        page.click("#kept-list li:nth-child(2) button:has-text('Show')")  # the newest is first
        expect(page.locator("#action")).to_be_focused()
        assert downloaded(page) == json.loads(files["=eye.json"])
        page.click("#kept-list li:nth-child(2) button:has-text('Delete')")
        _listed(page, 1)
        assert {name for name in _exported(page) if name.endswith(".json")} == {"=EYE.json"}
        page.once("dialog", lambda dialog: dialog.dismiss())
        with page.expect_event("dialog"):
            page.click("#clear")
        _listed(page, 1)
        page.once("dialog", lambda dialog: dialog.accept())
        page.click("#clear")
        _listed(page, 0)
        assert page.is_disabled("#export")
        page.reload()
        page.wait_for_selector("#file:enabled", timeout=120_000)
        _listed(page, 0)
        _check_names_and_failures(page, photograph, tmp_path)
