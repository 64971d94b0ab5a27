"""TensorFlow's first import, without its notices."""

from __future__ import annotations

import os
import sys
import warnings

from uml_tf.silence import silenced


def import_tensorflow() -> None:
    """Imports TensorFlow, keras-cv's and TFP's backend, with what they print about themselves left out.

    With ``--debug`` nothing is left out.
    """
    # Else the first process takes a GPU's whole memory, a display's and a second training's too.
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    if "--debug" in sys.argv:
        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    warnings.filterwarnings("ignore", category=FutureWarning)
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    with silenced(2):
        import tensorflow  # noqa: F401
