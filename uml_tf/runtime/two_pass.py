"""Reading a picture in two passes: a locator finds a region, and a network reads the part around it."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.model_card import ModelCard
from uml_tf.runtime.placement import Around, Placement, place
from uml_tf.runtime.prediction import Model, Prediction, predict_image
from uml_tf.runtime.predictor import Outputs
from uml_tf.runtime.roi import Roi, region_box, roi_members

Array = NDArray[Any]


def locate(locator: Model, image: Array, roi: Roi) -> Around:
    """Runs a locator on an image ``(H, W, 3)`` uint8; what it found.

    Raises:
        UmlError: the locator does not have the region.
    """
    members = roi_members(roi.region, locator.card.pixel_classes, locator.card.unions)
    whole = locator.place(image)
    outputs = {name: value[0] for name, value in locator(whole.image(image)[None]).items()}
    probability = outputs["mask_probability"]
    box = region_box(np.isin(probability.argmax(axis=-1), members), whole, roi.margin)
    background = 1 - probability[..., members].sum(axis=-1, keepdims=True)
    return Around(whole, outputs["mask_uncertainty"], background, roi.name, box)


class TwoPass:
    """A network with its locator, as one model.

    Class, mask and uncertainty are the network's, at the picture's size; outside the part that it read, the
    mask is background and the uncertainty the locator's. Where the locator finds nothing, the network reads
    the whole picture, and the decision is to refer.

    Args:
        network: a model whose card names its region of interest.
        locator: the model that finds it.

    Raises:
        UmlError: the locator does not have that region, or the card names none.
    """

    def __init__(self, network: Model, locator: Model) -> None:
        self.network, self.locator = network, locator
        self.image_size, self.batch_size = network.image_size, network.batch_size
        if network.card.roi is None:
            raise UmlError("model card: roi: found none, expected a network that was trained with a locator")
        self.roi: Roi = network.card.roi
        roi_members(self.roi.region, locator.card.pixel_classes, locator.card.unions)

    @property
    def card(self) -> ModelCard:
        """Names of the network's classes, and its thresholds."""
        return self.network.card

    @property
    def identity(self) -> str:
        """Of the network and its locator; see ``Model``."""
        return sha256(f"{self.network.identity} {self.locator.identity}".encode()).hexdigest()

    def __call__(self, images: Array) -> Outputs:
        """The network's outputs for ``(N, H, W, 3)`` inputs in [0, 255], N at most ``batch_size``."""
        return self.network(images)

    def place(self, image: Array) -> Placement:
        """Runs the locator; returns where the part that it found lies in the network's input."""
        around = locate(self.locator, image, self.roi)
        placement = place(self.card.fit, around.placement.original, self.image_size, around.box)
        return replace(placement, around=around)

    def predict(self, image: Path | str | Array) -> Prediction:
        """Class, mask, uncertainty and decision of one image, at its original size.

        Args:
            image: a file, or an RGB array ``(H, W, 3)`` uint8.

        Raises:
            UmlError: the image cannot be read.
        """
        return predict_image(self, image)


def with_locator(network: Model, locator: Model | None) -> Model:
    """A network and its locator as one model; the network itself where it has none."""
    return network if locator is None else TwoPass(network, locator)
