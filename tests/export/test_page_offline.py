"""The page is an app: installable, at work without a network, and replaced by a newer bundle as a whole."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from page_driver import choose, downloaded, open_page
from playwright.sync_api import expect

from uml_tf.export.metadata import add_metadata
from uml_tf.export.page import write_page
from uml_tf.runtime.device_model import DeviceModel

TRIED_TO_UPDATE = """async () => {
  const registration = await navigator.serviceWorker.ready;
  await registration.update().catch(() => null);
  while (registration.installing) await new Promise((resolve) => setTimeout(resolve, 50));
}"""


def _listed(folder):
    """What the service worker keeps: {hash, version, files}."""
    text = (folder / "web/sw.js").read_text()
    return json.loads(re.search(r"^const BUNDLE = (\{.*?^\});", text, re.M | re.S)[1])


@pytest.fixture
def folder(page_bundle, tmp_path):
    """A bundle that a test may change."""
    return Path(shutil.copytree(page_bundle("float16"), tmp_path / "bundle", copy_function=os.link))


@pytest.fixture
def context(browser):
    """A browser of its own: nothing is kept in it."""
    one = browser.new_context(viewport={"width": 390, "height": 844})
    yield one
    one.close()


def _kept(page):
    expect(page.locator("#offline")).to_have_attribute("data-hash", re.compile("."), timeout=60_000)
    return page.get_attribute("#offline", "data-hash")


def _replace_by_another(folder):
    """Another bundle in the same place: its model says that it was trained on other data."""
    path = folder / "model.tflite"
    data, metadata = path.read_bytes(), DeviceModel(path).metadata
    other = replace(metadata, card=replace(metadata.card, dataset="newer"))
    path.unlink()  # it is linked to the bundle of the other tests
    path.write_bytes(add_metadata(data, other, names=False))
    shutil.rmtree(folder / "web")
    write_page(folder, other)
    return _listed(folder)["hash"]


def test_worker_lists_every_file_that_the_page_loads(folder):
    listed = _listed(folder)
    expected = {"../model.tflite", "../example.png"}
    expected |= {p.relative_to(folder / "web").as_posix() for p in folder.glob("web/**/*") if p.is_file()}
    assert set(listed["files"]) == expected - {"sw.js"}
    for name, digest in listed["files"].items():
        assert hashlib.sha256((folder / "web" / name).read_bytes()).hexdigest() == digest


def _expect_installable(page):
    session = page.context.new_cdp_session(page)
    found = session.send("Page.getAppManifest")
    assert found["errors"] == []
    assert {icon["sizes"] for icon in json.loads(found["data"])["icons"]} >= {"192x192", "512x512"}
    errors = session.send("Page.getInstallabilityErrors")["installabilityErrors"]
    # A context of a test counts as a private window.
    assert {error["errorId"] for error in errors} <= {"in-incognito"}


def test_opened_once_the_page_can_be_installed_and_works_without_a_network(
    page_bundle, context, serve, photograph
):
    bundle = page_bundle("float16")
    with serve(bundle) as (address, _):
        page = open_page(context, address)
        choose(page, photograph)
        expected = downloaded(page)
        assert _kept(page) == _listed(bundle)["hash"]
        shown = page.inner_text("#offline")
        assert f"uml-tf {_listed(bundle)['version']}, bundle {_listed(bundle)['hash'][:12]}" in shown
        _expect_installable(page)
        page.close()
    # The server is gone, too.
    context.set_offline(True)
    page = open_page(context, address)
    choose(page, photograph)
    assert downloaded(page) == expected
    page.click("#example")
    expect(page.locator("#status")).to_have_text(re.compile("^example.png:"), timeout=60_000)
    assert _kept(page) == _listed(bundle)["hash"]


def test_newer_bundle_replaces_the_old_one_as_a_whole(folder, context, serve):
    with serve(folder) as (address, _):
        page = open_page(context, address)
        old = _kept(page)
        new = _replace_by_another(folder)
        page.close()
        page = open_page(context, address)
        # Until it is asked for, the old bundle stays in use, with all its parts.
        expect(page.locator("#newer")).to_contain_text(new[:12], timeout=60_000)
        assert "trained on newer" not in page.inner_text("#model")
        assert _kept(page) == old
        with page.expect_navigation():
            page.click("#replace")
        expect(page.locator("#model")).to_contain_text("trained on newer", timeout=60_000)
        expect(page.locator("#offline")).to_have_attribute("data-hash", new, timeout=60_000)
        assert [name.rsplit(" ", 1)[1] for name in page.evaluate("caches.keys()")] == [new]
        assert page.is_hidden("#newer")


def test_bundle_that_is_not_whole_does_not_replace_another(folder, context, serve):
    with serve(folder) as (address, _):
        page = open_page(context, address)
        old = _kept(page)
        _replace_by_another(folder)
        (folder / "web/drawing.js").write_text("// cut off")
        page.close()
        page = open_page(context, address)
        page.evaluate(TRIED_TO_UPDATE)
        assert [name.rsplit(" ", 1)[1] for name in page.evaluate("caches.keys()")] == [old]
        assert _kept(page) == old
        assert "trained on newer" not in page.inner_text("#model")
