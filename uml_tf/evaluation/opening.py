"""Opening a trained network as a model: its file, and that of its locator where it needs one."""

from __future__ import annotations

from pathlib import Path

from uml_tf.evaluation.keras_predictor import KerasPredictor
from uml_tf.networks import UML
from uml_tf.networks.files import read_network, weights_sha256
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.prediction import Model
from uml_tf.runtime.roi import LOCATOR, check_locator
from uml_tf.runtime.two_pass import with_locator

LOCATOR_FILE = f"{LOCATOR}.keras"


def read_locator(network: UML, path: Path) -> UML | None:
    """The locator of a network, from the file beside the network's; None for a network without one.

    Args:
        network: the network.
        path: its file.

    Raises:
        UmlError: the locator's file is missing, damaged, or of another locator.
    """
    if network.card is None or network.card.roi is None:
        return None
    beside = path.with_name(LOCATOR_FILE)
    locator = read_network(beside)
    check_locator(network.card.roi, weights_sha256(locator), beside)
    return locator


def as_model(
    network: UML,
    locator: UML | None,
    batch_size: int = 16,
    padded: bool = True,
    is_compiled: bool = True,
) -> Model:
    """A network, with its locator where it has one, as one model.

    Args:
        network: a trained network.
        locator: see ``read_locator``.
        batch_size: images at a time, at most; a locator reads one at a time.
        padded: see ``KerasPredictor``.
        is_compiled: see ``KerasPredictor``.
    """
    model = KerasPredictor(network, batch_size, padded, is_compiled)
    finder = None if locator is None else KerasPredictor(locator, 1, is_compiled=is_compiled)
    return with_locator(model, finder)


def open_network(path: Path, batch_size: int = 16, padded: bool = True, is_compiled: bool = True) -> Model:
    """Opens a ``.keras`` file as a model, with its locator where it needs one.

    Raises:
        UmlError: a file cannot be read, or is not what was trained.
    """
    network = read_network(path)
    if network.card is None:
        raise UmlError(f"model '{path}': found no card in it, expected a trained model")
    return as_model(network, read_locator(network, path), batch_size, padded, is_compiled)
