"""The U-Net decoder that the mutual decoder and the navigators are built from."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import keras
from keras import ops

from uml_tf.networks.block_specs import ConvStyle, UpStyle
from uml_tf.networks.convolution import DoubleConv
from uml_tf.networks.resize import BilinearResize


@keras.saving.register_keras_serializable(package="uml_tf")
class UpBlock(keras.layers.Layer):
    """One decoder step: upsample by 2, join the skip, convolve.

    Args:
        filters: channels of its double convolutions.
        style: how the parts are ordered (an ``UpStyle`` or its fields as a dict).
        conv: how the convolutions are made (a ``ConvStyle`` or its fields as a dict).

    Shapes:
        ``[(B, H, W, D), (B, 2H, 2W, E)]`` to ``(B, 2H, 2W, F)``, with F = filters when the block
        ends in a convolution, else the channels of the joined feature.
    """

    def __init__(
        self,
        filters: int,
        style: UpStyle | dict[str, Any],
        conv: ConvStyle | dict[str, Any],
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters = filters
        self.style = UpStyle(**style) if isinstance(style, dict) else style
        self.conv = ConvStyle(**conv) if isinstance(conv, dict) else conv
        self.upsample = BilinearResize(2, self.style.align_corners, name="upsample")
        self.before = DoubleConv(filters, self.conv, name="before") if self.style.conv_before else None
        self.after = DoubleConv(filters, self.conv, name="after") if self.style.conv_after else None

    def build(self, input_shape: list[tuple[int, ...]]) -> None:
        coarse, skip = input_shape
        shape = self.upsample.compute_output_shape(tuple(coarse))
        if self.before is not None:
            self.before.build(shape)
            shape = (*shape[:-1], self.filters)
        if self.after is not None:
            self.after.build((*shape[:-1], shape[-1] + skip[-1]))

    def call(self, inputs: list[Any], training: bool | None = None) -> Any:
        coarse, skip = inputs
        x = self.upsample(coarse)
        if self.before is not None:
            x = self.before(x, training=training)
        parts = [skip, x] if self.style.skip_first else [x, skip]
        if self.after is None:
            return ops.concatenate(parts, axis=-1)
        return self.after.of_parts(parts, training)

    def compute_output_shape(self, input_shape: list[tuple[int, ...]]) -> tuple[int, ...]:
        coarse, skip = input_shape
        width = self.filters if self.before is not None else coarse[-1]
        channels = self.filters if self.after is not None else width + skip[-1]
        return (*tuple(skip)[:-1], channels)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "style": asdict(self.style),
            "conv": asdict(self.conv),
        }
