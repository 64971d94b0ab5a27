"""The bundle's page: an installable web app that works without a network once it was opened."""

from __future__ import annotations

import hashlib
import json
import shutil
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from uml_tf.export.page_libraries import page_libraries
from uml_tf.runtime.metadata import FileMetadata
from uml_tf.runtime.outline_words import LIMITS

WEB = "web"
"""Folder of the page in the bundle; the page reads the models and the example beside it."""

WORKER = "sw.js"
_BESIDE = ("*.tflite", "example.png")


def page_possible(metadata: FileMetadata, batch: int) -> bool:
    """Whether a browser can run the file: one image at a time, outputs of the contract."""
    return metadata.outputs == "contract" and batch == 1


def _digests(folder: Path) -> dict[str, str]:
    """Path relative to the page -> SHA-256, of everything that the page loads."""
    web = folder / WEB
    found = {path.relative_to(web).as_posix(): path for path in web.rglob("*") if path.is_file()}
    found |= {f"../{path.name}": path for pattern in _BESIDE for path in folder.glob(pattern)}
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in sorted(found.items())
        if name != WORKER
    }


def _fill(script: Path, name: str, value: Any) -> None:
    """Writes a value into the line ``const NAME = null;`` of a script."""
    text, unfilled = script.read_text(encoding="utf-8"), f"const {name} = null;"
    assert text.count(unfilled) == 1
    filled = f"const {name} = {json.dumps(value, indent=1)};"
    script.write_text(text.replace(unfilled, filled), encoding="utf-8")


def _fill_worker(folder: Path, metadata: FileMetadata) -> None:
    """Writes into the service worker what it keeps for use without a network.

    A browser sees a new bundle by the worker's bytes.
    """
    digests = _digests(folder)
    listed = json.dumps(digests, sort_keys=True)
    contents = {
        "hash": hashlib.sha256(listed.encode()).hexdigest(),
        "version": metadata.versions["uml-tf"],
        "files": digests,
    }
    _fill(folder / WEB / WORKER, "BUNDLE", contents)


def write_page(folder: Path, metadata: FileMetadata) -> None:
    """Writes the page into a bundle that has its models and its example.

    Raises:
        UmlError: a library of the page cannot be fetched.
    """
    web = folder / WEB
    with as_file(files("uml_tf.export").joinpath("web")) as source:
        shutil.copytree(source, web)
    for name, library in page_libraries().items():
        shutil.copytree(library, web / name)
    _fill(web / "words.js", "OUTLINES", LIMITS)
    _fill_worker(folder, metadata)
