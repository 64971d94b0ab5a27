"""A Keras network as a predictor: compiled once, run batch by batch.

The heads are compiled apart from the contract that follows from them, so that another card, which a training
fits in the end, traces the network no second time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from uml_tf.networks import UML
from uml_tf.networks.files import weights_sha256
from uml_tf.runtime.contract import Heads
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.model_card import ModelCard
from uml_tf.runtime.placement import Placement
from uml_tf.runtime.prediction import Prediction, predict_image
from uml_tf.runtime.predictor import Outputs

if TYPE_CHECKING:
    from uml_tf.data.pipeline import Examples

_Run = Callable[[Any], dict[str, Any]]


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
        heads = model.heads_model()
        self._heads = self._compiled(partial(heads, training=False), heads.input)
        self._trust, self._contract = model.trust, self._compiled_contract()

    def _compiled(self, function: _Run, inputs: Any) -> _Run:
        """A function of a batch, compiled for inputs of the shapes and types of ``inputs``."""
        if not self._is_compiled:
            return function
        batch = self.batch_size if self._padded else None
        specs = tf.nest.map_structure(lambda one: tf.TensorSpec((batch, *one.shape[1:]), one.dtype), inputs)
        # AutoGraph writes temporary files, and warns where the disk is full.
        compiled: _Run = tf.function(function, input_signature=[specs], autograph=False)
        return compiled

    def _compiled_contract(self) -> _Run:
        return self._compiled(self.model.contract_of, self.model.heads_model().output)

    def _run_heads(self, images: NDArray[Any]) -> dict[str, Any]:
        padded = np.zeros((self.batch_size if self._padded else len(images), *images.shape[1:]), np.float32)
        padded[: len(images)] = images
        return self._heads(padded)

    def __call__(self, images: NDArray[Any]) -> Outputs:
        """The contract's outputs for ``(N, H, W, 3)`` images in [0, 255], N at most ``batch_size``."""
        if self._trust is not self.model.trust:  # it is part of the graph
            self._trust, self._contract = self.model.trust, self._compiled_contract()
        outputs = self._contract(self._run_heads(images))
        return {name: value.numpy()[: len(images)] for name, value in outputs.items()}

    def heads(self, images: NDArray[Any]) -> Heads:
        """What the heads say of ``(N, H, W, 3)`` images in [0, 255], N at most ``batch_size``."""
        found = self._run_heads(images)
        return Heads(**{name: value.numpy()[: len(images)] for name, value in found.items()})

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
