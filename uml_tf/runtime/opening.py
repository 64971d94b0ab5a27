"""Opening an exported model: its file, and that of its locator where it needs one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from uml_tf.runtime.device_model import DeviceModel
from uml_tf.runtime.prediction import Model
from uml_tf.runtime.roi import LOCATOR, check_locator
from uml_tf.runtime.two_pass import TwoPass

LOCATOR_FILE = f"{LOCATOR}.tflite"


def open_device_model(
    path: Path, threads: int | None = None, find_locator: Callable[[], Path] | None = None
) -> Model:
    """Opens a ``.tflite`` file that ``uml-tf export`` wrote; a network and its locator become one model.

    Args:
        path: the network's file.
        threads: see ``DeviceModel``.
        find_locator: returns the locator's file, where it does not lie beside the network's; called only for
            a network with a locator.

    Raises:
        UmlError: as ``DeviceModel``; or the locator's file is missing, or of another locator.
    """
    network = DeviceModel(path, threads)
    if network.card.roi is None:
        return network
    beside = find_locator() if find_locator else path.with_name(LOCATOR_FILE)
    found = DeviceModel(beside, threads)
    check_locator(network.card.roi, found.metadata.weights_sha256, beside)
    return TwoPass(network, found)
