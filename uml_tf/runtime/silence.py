"""Silencing libraries that write to the process's file descriptors; for commands only."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def silenced(*descriptors: int) -> Iterator[None]:
    """Redirects file descriptors of the process to the null device inside the ``with`` block.

    C++ libraries write to them before they read any log level. The redirection holds for the whole process,
    so only a command, which owns the process, may use it.

    Args:
        descriptors: 1 for standard output, 2 for standard error.
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
