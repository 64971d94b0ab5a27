"""Many variables as one vector, so that one operation updates all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from uml_tf.networks.moving_statistics import Move


def joined(tensors: Sequence[Any]) -> Any:
    """Tensors of any shapes as one vector ``(N,)``."""
    flat = tf.constant([-1])
    return tf.concat(
        [tensor if len(tensor.shape) == 1 else tf.reshape(tensor, flat) for tensor in tensors], axis=0
    )


class FlatVariables:
    """A view of variables of one type as a vector ``(size,)``.

    The edge network trains 290 small variables. Updated one by one they are more than half of the operations
    in the graph of the step, which is traced and optimised before the first step and scheduled in every step.

    Args:
        variables: Keras variables.
    """

    def __init__(self, variables: Sequence[Any]) -> None:
        self.variables = [variable.value for variable in variables]
        self._sizes = [int(np.prod(variable.shape)) for variable in variables]

    @property
    def size(self) -> int:
        """Total number of values."""
        return sum(self._sizes)

    def read(self) -> Any:
        """The variables' values."""
        return joined(self.variables)

    def spread(self, values: Sequence[float]) -> Any:
        """A constant ``(size,)`` that holds the i-th value wherever the i-th variable's values lie."""
        return tf.constant(np.repeat(np.asarray(values, np.float32), self._sizes))

    def write(self, vector: Any) -> None:
        """Sets the variables."""
        for variable, part in zip(self.variables, tf.split(vector, self._sizes), strict=True):
            variable.assign(part if len(variable.shape) == 1 else tf.reshape(part, variable.shape))


def carry_out_together(moves: Sequence[Move], agreed: Callable[[Any], Any] = lambda values: values) -> None:
    """Updates many moving statistics by a few operations, where each alone would need four.

    Args:
        moves: of different variables.
        agreed: from a replica's new statistics ``(N,)`` to those that all replicas take.
    """
    if not moves:
        return
    statistics = FlatVariables([move.variable for move in moves])
    momentum = statistics.spread([move.momentum for move in moves])
    values = joined([move.value for move in moves])
    statistics.write(agreed(statistics.read() * momentum + values * (1.0 - momentum)))
