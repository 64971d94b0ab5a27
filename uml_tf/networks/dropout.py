"""Dropout whose masks do not depend on how many replicas share the batch."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from uml_tf.losses.replicas import own_rows, replica_count


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
        if not training or not self.rate or replica_count() == 1:
            return super().call(inputs, training=training)
        return _drop(self, inputs, (inputs.shape[-1],))


@keras.saving.register_keras_serializable(package="uml_tf")
class SpatialDropout2D(keras.layers.SpatialDropout2D):
    """``keras.layers.SpatialDropout2D`` of ``(B, H, W, D)``; on several replicas the same masks as on one."""

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training or not self.rate or replica_count() == 1:
            return super().call(inputs, training=training)
        return _drop(self, inputs, (1, 1, inputs.shape[-1]))
