"""Whether a file is still the one that an answer was given for."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

KEY = "image_file"
"""Of the JSON of a prediction: the state of the image's file when it was read."""

_DIGITS = 16


def file_state(state: os.stat_result) -> str:
    """A digest of a file's size and time of change, which are compared for equality alone.

    So neither a clock that is wrong nor a file that is replaced by an older one matters. A digest, because
    the time of change may be when a patient was there.
    """
    return hashlib.sha256(f"{state.st_size} {state.st_mtime_ns}".encode()).hexdigest()[:_DIGITS]


def state_of(path: Path) -> str:
    """``file_state`` of a file; "" where there is none."""
    try:
        return file_state(path.stat())
    except OSError:
        return ""
