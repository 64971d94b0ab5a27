"""A network's own file."""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from pathlib import Path

import keras
import numpy as np

from uml_tf.networks.uml import UML
from uml_tf.runtime.errors import UmlError, reason_of

NETWORK = "uml_tf>UML"
"""The class that a ``.keras`` file of a uml-tf network names."""

_LONGEST_REASON = 240


def _unknown_field(error: BaseException) -> str | None:
    """The field of the file's config that this uml-tf has no place for; None where that was not the cause."""
    cause: BaseException | None = error
    while cause is not None:
        # Of the plain data: to the network itself Keras hands fields of its own.
        unknown = re.search(r"(\w+)\.__init__\(\) got an unexpected keyword argument '(\w+)'", str(cause))
        if unknown and unknown[1] != UML.__name__:
            return unknown[2]
        cause = cause.__cause__ or cause.__context__
    return None


def _unreadable(path: Path, error: Exception) -> UmlError:
    field = _unknown_field(error)
    if field is not None:
        return UmlError(
            f"{path}: found the field '{field}', which this uml-tf does not know: use a newer uml-tf"
        )
    return UmlError(f"{path}: cannot be read as a Keras model ({reason_of(error)[:_LONGEST_REASON]})")


def stated_class(path: Path) -> str:
    """The registered name of the class that a ``.keras`` file describes, without building it.

    Raises:
        UmlError: the file is damaged, or not a ``.keras`` file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))
        return str(config["registered_name"] or config["class_name"])
    except Exception as error:  # a damaged archive can raise many kinds
        raise _unreadable(path, error) from error


def read_network(path: Path) -> UML:
    """The network of a ``.keras`` file. Nothing that the file names is fetched, and no other class is built.

    Raises:
        UmlError: it cannot be read, or is not a uml-tf network.
    """
    found = stated_class(path)
    if found != NETWORK:
        raise UmlError(f"{path}: found a Keras model of class {found}, expected a uml-tf network")
    try:
        return keras.models.load_model(path, compile=False)
    except Exception as error:  # Keras raises many kinds for a damaged file
        raise _unreadable(path, error) from error


def weights_sha256(model: UML) -> str:
    """SHA-256 of all weights as float32 bytes, in the order of ``model.weights``."""
    digest = hashlib.sha256()
    for weight in model.weights:
        digest.update(np.ascontiguousarray(weight.numpy(), np.float32).tobytes())
    return digest.hexdigest()
