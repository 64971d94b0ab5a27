"""Chromium for the tests of the bundle's page: found on this machine, else fetched.

``make test`` runs this file once. Where no browser can be had, the page's tests are skipped and the test run
says so; with CI=true, that is an error.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MISSING = "NOT CHECKED: the bundle's page in a browser; found no Chromium and could not fetch one"


def _starts(path: str) -> bool:
    """Whether the program runs at all: a downloaded browser can lack system libraries."""
    try:
        done = subprocess.run([path, "--version"], capture_output=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def find_browser() -> str | None:
    """Path of a Chromium that starts: the system's, else the one that playwright fetched, else None."""
    for path in filter(None, map(shutil.which, NAMES)):
        if _starts(path):
            return path
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).is_file() and _starts(path) else None


def is_ci() -> bool:
    """Whether this is a CI run, where a browser is required."""
    return os.environ.get("CI", "").lower() in ("1", "true")


def _run(*command: str) -> bool:
    """Runs a command quietly; False where it fails."""
    print(f"fetching a browser for the page's tests: {' '.join(command)}", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(command, capture_output=True, timeout=1200, env=environment, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def fetch_browser() -> None:
    """Fetches Chromium with playwright or, as root on Debian, with apt-get."""
    if _run(sys.executable, "-m", "playwright", "install", "chromium") and find_browser():
        return
    if hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get"):
        _run("apt-get", "update", "-qq") and _run("apt-get", "install", "-y", "-qq", "chromium")


def main() -> int:
    """Finds or fetches a browser; returns the exit status."""
    if find_browser():
        return 0
    fetch_browser()
    if find_browser():
        return 0
    print(MISSING, file=sys.stderr)
    return 1 if is_ci() else 0


if __name__ == "__main__":
    sys.exit(main())
