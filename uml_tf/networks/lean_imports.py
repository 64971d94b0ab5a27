"""Imports of packages without their optional parts, which would be most of their import's time."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def absent(*packages: str) -> Iterator[None]:
    """Inside the block these packages cannot be imported, except those that were imported before.

    For the import of a package that goes without them where they are not installed. They can be imported
    afterwards as ever.
    """
    hidden = [package for package in packages if package not in sys.modules]
    for package in hidden:  # None is Python's mark of a module that cannot be imported
        sys.modules[package] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for package in hidden:
            del sys.modules[package]
