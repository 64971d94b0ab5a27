"""The bundle's page in use: its pictures, keyboard, camera, and its policy."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

import pytest
from page_driver import choose, downloaded, open_page, watched
from playwright.sync_api import expect


@pytest.fixture(scope="module")
def bundle(page_bundle):
    return page_bundle("float16")


@pytest.fixture(scope="module")
def page(bundle, browser, serve):
    with serve(bundle) as (address, _), watched(browser, address) as one:
        yield one


def test_page_draws_mask_and_uncertainty(page, photograph):
    choose(page, photograph)
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
    assert downloaded(page)["image"] == "example.png"
    page.focus("#camera")
    page.keyboard.press("Enter")
    page.wait_for_selector("#viewfinder:visible")
    page.keyboard.press("Enter")
    expect(page.locator("#status")).to_have_text(re.compile("^camera-.*-1.png:"), timeout=60_000)
    assert re.fullmatch("camera-.*-1.png", downloaded(page)["image"])


def test_policy_blocks_foreign_code_and_requests(bundle, browser, serve, tmp_path):
    (tmp_path / "foreign.js").write_text("window.foreign = true;")
    with serve(bundle) as (address, _), serve(tmp_path) as (other, requested):
        page = open_page(browser, address)
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
