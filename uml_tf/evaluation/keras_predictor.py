"""A Keras network as a predictor: compiled once, run batch by batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from uml_tf.data.pipeline import Examples
from uml_tf.networks import UML
from uml_tf.runtime.predictor import Outputs


class KerasPredictor:
    """A compiled model for inference; built once, used for every split and epoch.

    Args:
        model: the network.
        batch_size: images at a time; the last batch is padded to it, so that nothing is traced again.
    """

    def __init__(self, model: UML, batch_size: int = 16) -> None:
        self.model = model
        self.batch_size = batch_size
        self.image_size = model.image_size
        shape = (batch_size, *model.image_size, 3)
        self._run = tf.function(
            lambda images: model(images, training=False),
            input_signature=[tf.TensorSpec(shape, tf.float32)],
        )

    def __call__(self, images: NDArray[Any]) -> Outputs:
        """The contract's outputs for ``(N, H, W, 3)`` images in [0, 255], N at most ``batch_size``."""
        count = len(images)
        padded = np.zeros((self.batch_size, *images.shape[1:]), np.float32)
        padded[:count] = images
        return {name: value.numpy()[:count] for name, value in self._run(padded).items()}

    def over(self, examples: Examples) -> Iterator[tuple[slice, Outputs]]:
        """Yields (place in the examples, outputs) for every batch."""
        for start in range(0, len(examples), self.batch_size):
            place = slice(start, min(start + self.batch_size, len(examples)))
            yield place, self(examples.images[place])
