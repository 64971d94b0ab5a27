"""SHA-256 of many files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from uml_tf.runtime.files import read_bytes

_TOGETHER = 256


def digests(
    root: Path, paths: Sequence[str], progress: Callable[[int], None] = lambda done: None
) -> dict[str, bytes]:
    """SHA-256 of each file, by its path within ``root``; several files are read at a time.

    Args:
        root: a folder.
        paths: within it, each once.
        progress: called with the number of files that are read.

    Raises:
        UmlError: a file cannot be read.
    """
    # Not one by one: what the executor keeps of each call takes more memory than its result.
    parts = [paths[start : start + _TOGETHER] for start in range(0, len(paths), _TOGETHER)]
    with ThreadPoolExecutor() as pool:
        found: list[bytes] = []
        for some in pool.map(partial(_digests, root), parts):
            found += some
            progress(len(found))
    return dict(zip(paths, found, strict=True))


def _digests(root: Path, paths: Sequence[str]) -> list[bytes]:
    return [hashlib.sha256(read_bytes(root / relative)).digest() for relative in paths]
