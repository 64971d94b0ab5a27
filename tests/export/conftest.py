"""Fixtures of the export tests: a network that finds regions, and a browser."""

from __future__ import annotations

import functools
import http.server
import threading
from contextlib import contextmanager

import pytest
from browser import MISSING, find_browser
from unchecked import not_checked

# A few minutes of real training are too long for a test; this learns the regions in half a minute.
QUICK_CONFIG = """\
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
def trained_longer(tmp_path_factory, phantoms, uml_tf_command):
    """A working folder with the run of a network whose masks have regions."""
    folder = tmp_path_factory.mktemp("longer")
    (folder / "quick.yaml").write_text(QUICK_CONFIG)
    uml_tf_command("train", "--config", "quick.yaml", "--data", phantoms.root, cwd=folder)
    return folder


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

    return run
