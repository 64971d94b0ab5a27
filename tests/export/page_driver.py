"""Driving the bundle's page in a browser, as a user does."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import expect

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


def open_page(browser, address):
    page = browser.new_page()
    page.set_viewport_size({"width": 390, "height": 844})
    page.add_init_script(WATCH)
    page.goto(f"{address}/web/")
    page.wait_for_selector("#file:enabled", timeout=120_000)
    return page


def choose(page, path):
    """Gives the page a file and waits until it has been read or refused; returns the status line."""
    page.evaluate("document.querySelector('#status').textContent = ''")
    page.set_input_files("#file", path)
    expect(page.locator("#status")).to_have_text(re.compile(rf"^{re.escape(path.name)}:"), timeout=60_000)
    return page.inner_text("#status")


def downloaded(page):
    page.wait_for_selector("#result:visible", timeout=60_000)
    with page.expect_download() as download:
        page.click("#download")
    return json.loads(Path(download.value.path()).read_text())


@contextmanager
def watched(browser, address):
    """The page, loaded. At the end, it has asked no other address and broken no policy."""
    urls = []
    page = open_page(browser, address)
    page.on("request", lambda request: urls.append(request.url))
    yield page
    assert [url for url in urls if not url.startswith((address, "blob:", "data:"))] == []
    assert page.evaluate("window.violations") == []
    page.close()
