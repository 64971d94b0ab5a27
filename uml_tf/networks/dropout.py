"""Dropout whose masks do not depend on how many replicas share the batch, and that can drop in inference."""

from __future__ import annotations

from contextvars import ContextVar, Token
from typing import Any

import keras
from keras import ops

from uml_tf.losses.replicas import own_rows, replica_count

_ACTIVE: ContextVar[ActiveDropout | None] = ContextVar("active dropout", default=None)


class ActiveDropout:
    """A context in which the dropout layers of this file drop in inference too; batch norms do not change.

    A graph that is traced in it drops wherever it runs.

    Args:
        seed: of all masks that are drawn in it.

    Attributes:
        layers: number of calls of a dropout layer so far, those in a graph counted when it was traced.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self.generator = keras.random.SeedGenerator(seed)
        self.layers = 0
        self._token: Token[ActiveDropout | None] | None = None

    def __enter__(self) -> ActiveDropout:
        self._token = _ACTIVE.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._token is not None
        _ACTIVE.reset(self._token)

    def restart(self) -> None:
        """Draws the masks from the first one on again."""
        self.generator.state.assign([self._seed, 0])

    def drop(self, layer: Any, inputs: Any, noise_shape: tuple[Any, ...] | None) -> Any:
        """What a layer of some rate makes of its inputs; the mask has the shape ``noise_shape``."""
        self.layers += 1
        return keras.random.dropout(inputs, layer.rate, noise_shape, seed=self.generator)


def _drop(layer: Any, inputs: Any, mask_shape: tuple[int, ...]) -> Any:
    """Drops by this replica's rows of the mask that one replica would draw for the whole batch."""
    count = ops.shape(inputs)[0]
    whole = ops.ones((count * replica_count(), *mask_shape))
    mask = keras.random.dropout(whole, layer.rate, seed=layer.seed_generator)
    return inputs * ops.cast(own_rows(mask, count), inputs.dtype)


@keras.saving.register_keras_serializable(package="uml_tf")
class Dropout(keras.layers.Dropout):
    """``keras.layers.Dropout`` of ``(B, D)``; on several replicas the same masks as on one."""

    def call(self, inputs: Any, training: bool = False) -> Any:
        active = _ACTIVE.get()
        if active is not None and self.rate:
            return active.drop(self, inputs, None)
        if not training or not self.rate or replica_count() == 1:
            return super().call(inputs, training=training)
        return _drop(self, inputs, (inputs.shape[-1],))


@keras.saving.register_keras_serializable(package="uml_tf")
class SpatialDropout2D(keras.layers.SpatialDropout2D):
    """``keras.layers.SpatialDropout2D`` of ``(B, H, W, D)``; on several replicas the same masks as on one."""

    def call(self, inputs: Any, training: bool = False) -> Any:
        active = _ACTIVE.get()
        if active is not None and self.rate:
            return active.drop(self, inputs, (ops.shape(inputs)[0], 1, 1, inputs.shape[-1]))
        if not training or not self.rate or replica_count() == 1:
            return super().call(inputs, training=training)
        return _drop(self, inputs, (1, 1, inputs.shape[-1]))


@keras.saving.register_keras_serializable(package="uml_tf")
class PathDropout(keras.layers.Dropout):
    """Drops all of an image's vector ``(B, D)`` or none of it, in training alone.

    What joins the vector afterwards then has to answer without it for a share of the images. The passes of
    ``ActiveDropout`` leave it as it is: they ask how sure the whole network is.
    """

    def call(self, inputs: Any, training: bool = False) -> Any:
        return _drop(self, inputs, (1,)) if training and self.rate else inputs
