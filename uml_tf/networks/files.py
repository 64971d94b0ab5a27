"""A network's own file."""

from __future__ import annotations

from pathlib import Path

import keras

from uml_tf.networks.uml import UML
from uml_tf.runtime.errors import UmlError


def read_network(path: Path) -> UML:
    """The network of a ``.keras`` file.

    Raises:
        UmlError: it cannot be read, or is not a uml-tf network.
    """
    try:
        model = keras.models.load_model(path, compile=False)
    except Exception as error:  # Keras raises many kinds for a damaged or foreign file
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UmlError(f"{path}: cannot be read as a Keras model ({reason[:160]})") from error
    if not isinstance(model, UML):
        raise UmlError(f"{path}: found a {type(model).__name__}, expected a uml-tf network")
    return model
