"""The convolution blocks of the decoders, the navigator and the instructor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import keras
import numpy as np
from keras import ops

from uml_tf.networks.block_specs import ConvStyle
from uml_tf.networks.dropout import SpatialDropout2D
from uml_tf.networks.normalization import MOMENTUM, BatchNormalization
from uml_tf.networks.pointwise import Conv2D, pixel_product

BATCH_NORM_EPSILON = 1e-5


def batch_norm(name: str, of_mask: bool = True) -> BatchNormalization:
    """Batch normalisation with PyTorch's defaults, which the published networks were trained with."""
    return BatchNormalization(of_mask, momentum=MOMENTUM, epsilon=BATCH_NORM_EPSILON, name=name)


def pointwise(filters: int, use_bias: bool, name: str) -> keras.layers.Conv2D:
    """A 1x1 convolution."""
    return Conv2D(filters, 1, use_bias=use_bias, name=name)


@keras.saving.register_keras_serializable(package="uml_tf")
class SeparableConv(keras.layers.Layer):
    """Depthwise 3x3 then pointwise 1x1, no biases and nothing between them.

    Args:
        filters: output channels.
        dilation: dilation of the depthwise part; zero padding keeps the size.

    Shapes:
        ``(B, H, W, D)`` to ``(B, H, W, filters)``.
    """

    def __init__(self, filters: int, dilation: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.filters = filters
        self.dilation = dilation
        self.depthwise = keras.layers.DepthwiseConv2D(
            3, padding="same", dilation_rate=dilation, use_bias=False, name="depthwise"
        )
        self.pointwise = pointwise(filters, False, "pointwise")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.depthwise.build(input_shape)
        self.pointwise.build(input_shape)

    def call(self, inputs: Any) -> Any:
        return self.pointwise(self.depthwise(inputs))

    def of_parts(self, parts: Sequence[Any]) -> Any:
        """The layer's output for the parts of its input, ``(B, H, W, D_i)``, without joining them.

        It saves the copies of the joined feature and of the parts of its gradient. On TensorFlow alone.
        """
        ends = np.cumsum([part.shape[-1] for part in parts])
        outputs = []
        for part, end in zip(parts, ends, strict=True):
            own = slice(int(end) - part.shape[-1], int(end))
            depthwise, pointwise = (
                ops.cast(layer.kernel, part.dtype)[:, :, own] for layer in (self.depthwise, self.pointwise)
            )
            filtered = ops.depthwise_conv(part, depthwise, padding="same", dilation_rate=self.dilation)
            outputs.append(pixel_product(filtered, pointwise, None))
        return sum(outputs[1:], outputs[0])

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (*input_shape[:-1], self.filters)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "filters": self.filters, "dilation": self.dilation}


@keras.saving.register_keras_serializable(package="uml_tf")
class DoubleConv(keras.layers.Layer):
    """Twice: 3x3 convolution, batch norm, activation; with the spatial dropout of the style.

    Args:
        filters: output channels of both convolutions.
        style: how the convolutions are made (a ``ConvStyle`` or its fields as a dict).
        of_mask: see ``BatchNormalization``.

    Shapes:
        ``(B, H, W, D)`` to ``(B, H, W, filters)``.
    """

    def __init__(
        self, filters: int, style: ConvStyle | dict[str, Any], of_mask: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.filters = filters
        self.style = ConvStyle(**style) if isinstance(style, dict) else style
        self.convs = [self._conv(f"conv_{i}") for i in (1, 2)]
        self.of_mask = of_mask
        self.norms = [batch_norm(f"norm_{i}", of_mask) for i in (1, 2)]
        self.activation = keras.layers.Activation(self.style.activation)
        self.dropout = SpatialDropout2D(self.style.dropout)

    def _conv(self, name: str) -> keras.layers.Layer:
        if self.style.separable:
            return SeparableConv(self.filters, name=name)
        return keras.layers.Conv2D(self.filters, 3, padding="same", name=name)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        shape = tuple(input_shape)
        for conv, norm in zip(self.convs, self.norms, strict=True):
            conv.build(shape)
            shape = (*shape[:-1], self.filters)
            norm.build(shape)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        return self._normed(self.convs[0](inputs), training)

    def of_parts(self, parts: Sequence[Any], training: bool | None) -> Any:
        """The output for an input ``(B, H, W, D)`` that is given in parts along D."""
        if training and self.style.separable and keras.backend.backend() == "tensorflow":
            return self._normed(self.convs[0].of_parts(parts), training)
        return self(ops.concatenate(parts, axis=-1), training=training)

    def _normed(self, first: Any, training: bool | None) -> Any:
        """The output, from that of the first convolution."""
        x = first
        for conv, norm in zip((None, self.convs[1]), self.norms, strict=True):
            x = self.activation(norm(x if conv is None else conv(x), training=training))
            if self.style.dropout_after_each:
                x = self.dropout(x, training=training)
        return x if self.style.dropout_after_each else self.dropout(x, training=training)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (*input_shape[:-1], self.filters)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "style": asdict(self.style),
            "of_mask": self.of_mask,
        }
