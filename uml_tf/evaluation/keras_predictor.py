"""A Keras network as a predictor: compiled once, run batch by batch."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from uml_tf.networks import UML
from uml_tf.networks.files import weights_sha256
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.model_card import ModelCard
from uml_tf.runtime.placement import Placement
from uml_tf.runtime.prediction import Prediction, predict_image
from uml_tf.runtime.predictor import Outputs

if TYPE_CHECKING:
    from uml_tf.data.pipeline import Examples


class KerasPredictor:
    """A compiled model for inference; built once, used for every split and epoch.

    Args:
        model: the network.
        batch_size: images at a time, at most.
        padded: smaller batches are padded to that size, which the graph then has as a constant; otherwise
            the graph takes batches of any size, for callers whose batches are often small.
        is_compiled: False for a model that reads very few images: to compile takes longer than to run it
            layer by layer. Outputs differ by rounding.
    """

    def __init__(
        self, model: UML, batch_size: int = 16, padded: bool = True, is_compiled: bool = True
    ) -> None:
        self.model, self._is_compiled = model, is_compiled
        self.batch_size = batch_size
        self._padded = padded
        self.image_size = model.image_size
        self._trust, self._run = model.trust, self._compiled()

    def _compiled(self) -> Callable[[NDArray[Any]], dict[str, Any]]:
        if not self._is_compiled:
            return lambda images: self.model(images, training=False)
        shape = (self.batch_size if self._padded else None, *self.image_size, 3)
        run: Callable[[NDArray[Any]], dict[str, Any]] = tf.function(
            lambda images: self.model(images, training=False),
            input_signature=[tf.TensorSpec(shape, tf.float32)],
            autograph=False,  # which writes temporary files, and warns where the disk is full
        )
        return run

    def __call__(self, images: NDArray[Any]) -> Outputs:
        """The contract's outputs for ``(N, H, W, 3)`` images in [0, 255], N at most ``batch_size``."""
        if self._trust is not self.model.trust:  # it is part of the graph
            self._trust, self._run = self.model.trust, self._compiled()
        count = len(images)
        padded = np.zeros((self.batch_size if self._padded else count, *images.shape[1:]), np.float32)
        padded[:count] = images
        return {name: value.numpy()[:count] for name, value in self._run(padded).items()}

    @property
    def card(self) -> ModelCard:
        """The card of a trained network.

        Raises:
            UmlError: the network has none.
        """
        if self.model.card is None:
            raise UmlError(f"network '{self.model.name}': found no model card, expected a trained network")
        return self.model.card

    @property
    def identity(self) -> str:
        """Of the weights and the card; see ``uml_tf.runtime.prediction.Model``."""
        card = json.dumps(self.card.to_dict(), sort_keys=True, default=str)
        return sha256(f"{weights_sha256(self.model)} {card}".encode()).hexdigest()

    def place(self, image: NDArray[Any]) -> Placement:
        """Where an image ``(H, W, 3)`` lies in the input.

        Raises:
            UmlError: the network has no card, or needs its locator; see ``uml_tf.evaluation.opening``.
        """
        return self.card.place(image, self.image_size)

    def predict(self, image: Path | str | NDArray[Any]) -> Prediction:
        """Class, mask, uncertainty and decision of one image, at its original size.

        Args:
            image: a file, or an RGB array ``(H, W, 3)`` uint8.

        Raises:
            UmlError: the image cannot be read, or the network has no card.
        """
        return predict_image(self, image)

    def over(self, examples: Examples) -> Iterator[tuple[slice, Outputs]]:
        """Yields (place in the examples, outputs) for every batch."""
        for start in range(0, len(examples), self.batch_size):
            place = slice(start, min(start + self.batch_size, len(examples)))
            yield place, self(examples.images[place])
