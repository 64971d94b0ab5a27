"""TensorFlow's first import, without its notices."""

from __future__ import annotations

import os
import sys
import warnings


def import_tensorflow() -> None:
    """Imports TensorFlow, keras-cv's and TFP's backend, with what they print about themselves left out.

    The notices are written by C++ before any log level is read, so the file descriptor is turned away
    for the time of the import. With ``--debug`` nothing is left out.
    """
    if "--debug" in sys.argv:
        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    warnings.filterwarnings("ignore", category=FutureWarning)
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        import tensorflow  # noqa: F401
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
