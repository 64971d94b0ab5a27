"""Opening an exported model: its file, and that of its locator where it needs one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from uml_tf.runtime.device_model import DeviceModel
from uml_tf.runtime.prediction import Model
from uml_tf.runtime.roi import LOCATOR, check_locator
from uml_tf.runtime.two_pass import with_locator

LOCATOR_FILE = f"{LOCATOR}.tflite"


def open_device_pair(
    path: Path, threads: int | None = None, find_locator: Callable[[], Path] | None = None
) -> tuple[DeviceModel, DeviceModel | None]:
    """Opens a ``.tflite`` file that ``uml-tf export`` wrote, and the file of its locator where it needs one.

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
        return network, None
    beside = find_locator() if find_locator else path.with_name(LOCATOR_FILE)
    locator = DeviceModel(beside, threads)
    check_locator(network.card.roi, locator.metadata.weights_sha256, beside)
    return network, locator


def open_device_model(
    path: Path, threads: int | None = None, find_locator: Callable[[], Path] | None = None
) -> Model:
    """``open_device_pair`` as one model.

    Raises:
        UmlError: as ``open_device_pair``.
    """
    return with_locator(*open_device_pair(path, threads, find_locator))
