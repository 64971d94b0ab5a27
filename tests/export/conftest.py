"""Fixtures of the export tests: a network that finds regions, its bundles, and a browser."""

from __future__ import annotations

import functools
import http.server
import threading
from contextlib import contextmanager

import pictures
import pytest
from browser import MISSING, find_browser
from playwright.sync_api import sync_playwright
from unchecked import not_checked

from uml_tf.runtime.errors import UmlError

# A few minutes of real training are too long for a test; this learns the regions in half a minute.
LONGER_CONFIG = """\
epochs: 12
image_size: 64
seed: 5
batch_size: 4
averaging: 0
learning_rate: 4e-3
"""


@pytest.fixture(scope="session")
def chromium():
    """Path of a browser."""
    return find_browser() or not_checked(MISSING)


@pytest.fixture(scope="module")
def browser(chromium):
    """A running browser with a camera whose picture is made up."""
    flags = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=flags)
        yield running
        running.close()


@pytest.fixture(scope="session")
def trained_longer(trained_once):
    """Path of a trained network whose masks have regions."""
    (path,) = trained_once("longer", LONGER_CONFIG).glob("mlruns/runs/*/model.keras")
    return path


@pytest.fixture(scope="session")
def photograph(phantoms):
    return phantoms.root / phantoms.rows[0].image


@pytest.fixture(scope="session")
def images(photograph, tmp_path_factory):
    """24 kinds of image that both runtimes read."""
    return pictures.readable(tmp_path_factory.mktemp("images"), photograph)


@pytest.fixture(scope="session")
def page_bundle(once, chromium, trained_longer, phantoms, images):
    """A function from "float16" or "int8" to the folder of a bundle with its page."""
    from page_bundle import write_page_bundle

    from uml_tf.export.page_libraries import page_libraries

    try:
        page_libraries()
    except UmlError as error:
        not_checked(f"NOT CHECKED: the bundle's page in a browser; {error}")

    def bundle(kind):
        with once(f"page-{kind}") as (folder, done):
            if not done.exists():
                write_page_bundle(folder, kind, trained_longer, phantoms, images)
                done.touch()
        return folder

    return bundle


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="session")
def serve():
    """Serves a folder over HTTP: a context manager that yields (address, list of requested paths)."""

    @contextmanager
    def run(folder):
        requested = []

        class Handler(_Quiet):
            def do_GET(self):
                requested.append(self.path)
                super().do_GET()

        handler = functools.partial(Handler, directory=str(folder))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", requested
        server.shutdown()
        server.server_close()

    return run
