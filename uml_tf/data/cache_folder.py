"""Where decoded images are kept from one training to the next."""

from __future__ import annotations

import os
import sys
from pathlib import Path

CACHE_VARIABLE = "UML_TF_CACHE"
"""Environment variable: the folder of the cache, or "off" for none."""

_OFF = "off"


def cache_folder() -> Path | None:
    """The folder of ``UML_TF_CACHE``, else ``uml-tf`` in the user's folder for caches; None for none."""
    named = os.environ.get(CACHE_VARIABLE, "")
    if named:
        return None if named == _OFF else Path(named)
    return _user_caches() / "uml-tf"


def _user_caches() -> Path:
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
