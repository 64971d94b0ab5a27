"""Keeping libraries quiet that write past Python's streams; for commands alone."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def silenced(*descriptors: int) -> Iterator[None]:
    """Redirects file descriptors of the process (1 standard output, 2 standard error) to nowhere.

    C++ code writes to them before any log level is read, so nothing milder helps. The redirection holds
    for the whole process: only a command, which owns the process, may ask for it.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    kept = {descriptor: os.dup(descriptor) for descriptor in descriptors}
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        for descriptor in descriptors:
            os.dup2(nowhere, descriptor)
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for descriptor, copy in kept.items():
            os.dup2(copy, descriptor)
            os.close(copy)
        os.close(nowhere)
