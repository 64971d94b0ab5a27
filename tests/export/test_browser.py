"""Finding a browser, and what a test run says where there is none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


@pytest.fixture
def bare(tmp_path):
    """An environment without a browser, without apt-get, and with nowhere to fetch one from."""
    (tmp_path / "bin").mkdir()
    kept = {name: value for name, value in os.environ.items() if name not in ("CI", "PYTEST_ADDOPTS")}
    return kept | {
        "PATH": str(tmp_path / "bin"),
        "PLAYWRIGHT_BROWSERS_PATH": str(tmp_path / "browsers"),
        "PLAYWRIGHT_DOWNLOAD_HOST": "http://127.0.0.1:9",
    }


def _python(environment, *arguments):
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=300
    )


def _program(path, status):
    path.write_text(f"#!/bin/sh\nexit {status}\n")
    path.chmod(0o755)


def test_a_browser_that_starts_is_found(bare):
    # A package can install a program that only says how to get the real one.
    folder = Path(bare["PATH"])
    _program(folder / "chromium", 1)
    _program(folder / "google-chrome", 0)
    code = f"import sys; sys.path.insert(0, '{HERE}'); import browser; print(browser.find_browser())"
    assert _python(bare, "-c", code).stdout.strip() == str(folder / "google-chrome")
    done = _python(bare, HERE / "browser.py")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_without_a_browser_the_set_up_says_so_and_fails_in_ci(bare):
    for environment, status in ((bare, 0), (bare | {"CI": "true"}, 1)):
        done = _python(environment, HERE / "browser.py")
        assert done.returncode == status
        assert done.stdout.startswith("fetching a browser for the page's tests: ")
        assert done.stderr.startswith("NOT CHECKED: the bundle's page in a browser")


def test_without_a_browser_the_page_is_skipped_loudly_and_fails_in_ci(bare, tmp_path):
    arguments = ("-m", "pytest", "-n", "0", "-p", "no:cacheprovider", f"--basetemp={tmp_path / 'run'}")
    selected = (HERE / "test_page_texts.py", "-k", "screen_reader")  # imports no TensorFlow
    done = _python(bare, *arguments, *selected)
    assert done.returncode == 0, done.stdout
    last = done.stdout.strip().splitlines()[-2:]
    assert last[0].startswith("NOT CHECKED: the bundle's page in a browser"), done.stdout
    assert "1 skipped" in done.stdout
    done = _python(bare | {"CI": "true"}, *arguments, *selected)
    assert done.returncode == 1
    assert "NOT CHECKED: the bundle's page in a browser" in done.stdout
