"""Batch normalisation as the published encoders use it: frozen, and without an epsilon."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="uml_tf")
class FrozenBatchNorm(keras.layers.Layer):
    """Affine map by stored batch statistics, never trained and never updated.

    y = x * scale + (beta - mean * scale) with scale = gamma / sqrt(variance). The published encoders
    add no epsilon to the variance; a variance of zero is therefore an error of the checkpoint.

    Args:
        **kwargs: passed to ``keras.layers.Layer``.

    Shapes:
        input and output ``(B, ..., channels)``.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.trainable = False

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        shape = (input_shape[-1],)
        self.gamma = self.add_weight(shape=shape, initializer="ones", name="gamma")
        self.beta = self.add_weight(shape=shape, initializer="zeros", name="beta")
        self.mean = self.add_weight(shape=shape, initializer="zeros", name="mean")
        self.variance = self.add_weight(shape=shape, initializer="ones", name="variance")

    def call(self, inputs: Any) -> Any:
        scale = ops.cast(self.gamma, "float32") * ops.rsqrt(ops.cast(self.variance, "float32"))
        shift = ops.cast(self.beta, "float32") - ops.cast(self.mean, "float32") * scale
        return inputs * ops.cast(scale, inputs.dtype) + ops.cast(shift, inputs.dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape
