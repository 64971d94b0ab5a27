"""Polarized self-attention, the last step of the feature mixer."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from uml_tf.networks.convolution import batch_norm, pointwise


@keras.saving.register_keras_serializable(package="uml_tf")
class PolarizedSelfAttention(keras.layers.Layer):
    """Channel attention, then spatial attention on its result (Liu et al., 2021, sequential form).

    Channel part: z = conv(v . q) with v = conv(x) to half the channels and q = conv(x) to one channel
    made into pixel weights; x' = x * sigmoid(norm(z)). Spatial part: with v' = conv(x'), q' = the
    global average of conv(x'), the output is x' + x' * sigmoid(q' . v').

    Args:
        integer_safe: the form for int8. A softmax over thousands of pixels falls below the smallest
            int8 step, and a layer norm's variance over few channels is not kept either. So the pixel
            weights are an averaged sigmoid, and the norm is a batch norm, which the converter folds into
            the convolution.

    Shapes:
        input and output ``(B, H, W, D)``, D even.
    """

    def __init__(self, integer_safe: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.integer_safe = integer_safe

    def build(self, input_shape: tuple[Any, ...]) -> None:
        channels = input_shape[-1]
        half = channels // 2
        pooled = (input_shape[0], 1, 1, channels)
        self.channel_value = pointwise(half, True, "channel_value")
        self.channel_query = pointwise(1, True, "channel_query")
        self.channel_weight = pointwise(channels, True, "channel_weight")
        self.norm: keras.layers.Layer = (
            batch_norm("norm")
            if self.integer_safe
            else keras.layers.LayerNormalization(epsilon=1e-5, name="norm")
        )
        self.spatial_value = pointwise(half, True, "spatial_value")
        self.spatial_query = pointwise(half, True, "spatial_query")
        for layer in (self.channel_value, self.channel_query, self.spatial_value, self.spatial_query):
            layer.build(input_shape)
        self.channel_weight.build((*pooled[:-1], half))
        self.norm.build(pooled)

    def _pool_values(self, inputs: Any) -> Any:
        """``(B, 1, 1, D / 2)``: the channel values, summed over the pixels by the query's weights."""
        value, query = self.channel_value(inputs), self.channel_query(inputs)
        if self.integer_safe:
            return ops.mean(value * ops.sigmoid(query), axis=(1, 2), keepdims=True)
        height, width = inputs.shape[1:3]
        value = ops.reshape(value, (-1, height * width, value.shape[-1]))
        weight = ops.softmax(ops.reshape(query, (-1, 1, height * width)), axis=-1)
        return ops.expand_dims(ops.matmul(weight, value), 1)

    def _spatial_map(self, inputs: Any) -> Any:
        """``(B, H, W, 1)``: how well each pixel's value agrees with the average query."""
        value = self.spatial_value(inputs)
        # Averaging before the convolution is equal, because it is linear, and costs one pixel, not H x W.
        query = self.spatial_query(ops.mean(inputs, axis=(1, 2), keepdims=True))
        return ops.sigmoid(ops.sum(value * query, axis=-1, keepdims=True))

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        weight = self.channel_weight(self._pool_values(inputs))
        weight = self.norm(weight, training=training) if self.integer_safe else self.norm(weight)
        weighted = inputs * ops.sigmoid(weight)
        return weighted + weighted * self._spatial_map(weighted)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "integer_safe": self.integer_safe}
