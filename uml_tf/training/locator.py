"""The locator of a training: which part of every image the network reads."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from uml_tf.data.dataset import PreparedDataset
from uml_tf.data.reading import read_row
from uml_tf.evaluation.keras_predictor import KerasPredictor
from uml_tf.evaluation.opening import LOCATOR_FILE
from uml_tf.networks.files import read_network, weights_sha256
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.files import replacing
from uml_tf.runtime.placement import Box
from uml_tf.runtime.prediction import Model
from uml_tf.runtime.roi import Roi, roi_members
from uml_tf.runtime.two_pass import locate
from uml_tf.tracking.models import resolve_model
from uml_tf.training.sections import RoiConfig

_SHOWN = 3


@dataclass(frozen=True)
class Locator:
    """A trained network that finds the part of an image that another is trained on.

    Attributes:
        file: the network's file.
        model: the network.
        roi: what it looks for, for the card of the other network.
    """

    file: Path
    model: Model
    roi: Roi

    def keep(self, folder: Path) -> None:
        """Copies the file into the folder of a run."""
        with replacing(folder / LOCATOR_FILE) as temporary:
            shutil.copyfile(self.file, temporary)

    def boxes(
        self,
        dataset: PreparedDataset,
        split: str,
        progress: Callable[[int], None] = lambda done: None,
        warn: Callable[[str], None] = lambda line: None,
    ) -> dict[str, Box]:
        """Image -> the part of it around the region, for the images in which the region was found.

        Args:
            dataset: the data set.
            split: "train", "val" or "test".
            progress: called with the number of images done.
            warn: called with one line where the region was not found in some images.

        Raises:
            UmlError: an image cannot be read.
        """
        found: dict[str, Box] = {}
        missed = []
        for index, row in enumerate(dataset.split(split)):
            box = locate(self.model, read_row(dataset, row)[0], self.roi).box
            if box is None:
                missed.append(row.image)
            else:
                found[row.image] = box
            progress(index + 1)
        if missed:
            names = ", ".join(missed[:_SHOWN]) + (", ..." if len(missed) > _SHOWN else "")
            warn(
                f"locator: found no {self.roi.name} in {len(missed)} of {len(missed) + len(found)} images of "
                f"split '{split}', which are read whole: {names}"
            )
        return found


def open_locator(config: RoiConfig, kept: Path | None = None) -> Locator | None:
    """The locator of a config; None where it has none.

    Args:
        config: the config's section ``roi``.
        kept: the file that a run has kept, where it is resumed.

    Raises:
        UmlError: the model does not exist, was not trained, needs a locator itself, or has no such region.
    """
    if config.model is None:
        return None
    file = kept or resolve_model(config.model)
    network = read_network(file)
    name = f"roi: model '{config.model}'"
    if network.card is None:
        raise UmlError(f"{name}: found no card in it, expected a trained model")
    if network.card.roi is not None:
        raise UmlError(
            f"{name}: found a network with a locator of its own, expected one that reads whole images"
        )
    roi_members(config.region, network.card.pixel_classes, network.card.unions)
    roi = Roi(config.region, config.margin, weights_sha256(network))
    return Locator(file, KerasPredictor(network, 1), roi)
