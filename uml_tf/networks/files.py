"""A network's own file."""

from __future__ import annotations

from pathlib import Path

import keras

from uml_tf.networks.uml import UML
from uml_tf.runtime.errors import UmlError


def reason_of(error: BaseException) -> str:
    """Why Keras refused a file, in one line: our own error behind it where there is one."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, UmlError):
        cause = cause.__cause__ or cause.__context__
    lines = str(cause or error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:240]


def read_network(path: Path) -> UML:
    """The network of a ``.keras`` file. Nothing that the file names is fetched.

    Raises:
        UmlError: it cannot be read, or is not a uml-tf network.
    """
    try:
        model = keras.models.load_model(path, compile=False)
    except Exception as error:  # Keras raises many kinds for a damaged or foreign file
        raise UmlError(f"{path}: cannot be read as a Keras model ({reason_of(error)})") from error
    if not isinstance(model, UML):
        raise UmlError(f"{path}: found a {type(model).__name__}, expected a uml-tf network")
    return model
