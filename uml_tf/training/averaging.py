"""A moving average of the weights, which is validated and kept in place of the last step's weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

from uml_tf.training.flat import FlatVariables


class WeightAverage:
    """Exponential moving average of every variable of a model, batch statistics included.

    Args:
        variables: the model's Keras variables.
        decay: decay per step, in (0, 1). It starts lower, as (1 + t) / (10 + t), so that the first
            weights do not linger.

    Source: Polyak and Juditsky, 1992; the warm-up is TensorFlow's ExponentialMovingAverage's.
    """

    def __init__(self, variables: Sequence[Any], decay: float) -> None:
        # Integer variables are the states of dropout's random streams; an average of them means nothing.
        self._live = FlatVariables([v for v in variables if v.value.dtype.is_floating])
        self.shadow = tf.Variable(self._live.read(), trainable=False)
        self.decay = decay
        self.steps = tf.Variable(0.0, trainable=False)

    def update(self) -> None:
        """Moves the average one step towards the live weights; called inside the compiled step."""
        self.steps.assign_add(1.0)
        rate = 1.0 - tf.minimum(self.decay, (1.0 + self.steps) / (10.0 + self.steps))
        self.shadow.assign_add(rate * (self._live.read() - self.shadow))

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The model has the averaged weights inside the block, and its own again after it."""
        own = self._live.read()
        self._live.write(self.shadow)
        try:
            yield
        finally:
            self._live.write(own)
