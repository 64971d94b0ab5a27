"""An exported file with another card; its graph, and the locator beside it, stay as they are."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from uml_tf.export.metadata import add_metadata
from uml_tf.runtime.device_model import DeviceModel
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.files import read_bytes, replacing
from uml_tf.runtime.metadata import CONFIDENT_FORMAT, FORMAT
from uml_tf.runtime.model_card import ModelCard
from uml_tf.runtime.opening import LOCATOR_FILE
from uml_tf.runtime.roi import locator_place


def check_beside(locator: DeviceModel | None, path: Path) -> None:
    """Refuses a place where the locator's file cannot lie beside the network's.

    Args:
        locator: of the network; None for a network without one.
        path: where the network's file is to be written.

    Raises:
        UmlError: it has the name of the locator's file, or another file of that name lies there.
    """
    if locator is None:
        return
    beside = locator_place(path, LOCATOR_FILE)
    if beside.exists() and read_bytes(beside) != locator.content:
        raise UmlError(
            f"{beside}: found another file than the model's locator, and no file is replaced; expected "
            "a folder without it"
        )


def write_with_card(network: DeviceModel, locator: DeviceModel | None, card: ModelCard, path: Path) -> None:
    """Writes an exported file with another card, and its locator's file beside it, where there is none yet.

    Args:
        network: the file.
        locator: that of its locator, where it has one.
        card: the new card.
        path: of the new file.

    Raises:
        UmlError: as ``check_beside``, or a file cannot be written; then neither is.
    """
    check_beside(locator, path)
    # An older number would let an older runtime misread what was fitted now.
    number = FORMAT if network.metadata.format >= CONFIDENT_FORMAT else network.metadata.format
    metadata = replace(network.metadata, card=card, format=number)
    beside = path.with_name(LOCATOR_FILE)
    with ExitStack() as files:
        files.enter_context(replacing(path)).write_bytes(add_metadata(network.content, metadata, names=False))
        # Renamed before the network's file, which cannot be read without it.
        if locator is not None and not beside.exists():
            files.enter_context(replacing(beside)).write_bytes(locator.content)
