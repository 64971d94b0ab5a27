"""The feature mixer: one mutual feature from a classification and a segmentation feature."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from uml_tf.networks.attention import PolarizedSelfAttention
from uml_tf.networks.convolution import pointwise

SHUFFLE_GROUPS = 4


@keras.saving.register_keras_serializable(package="uml_tf")
class ChannelShuffle(keras.layers.Layer):
    """New channel g * (D / groups) + j takes old channel j * groups + g.

    Args:
        groups: number of groups; must divide the channels.

    Shapes:
        input and output ``(B, H, W, D)``.
    """

    def __init__(self, groups: int = SHUFFLE_GROUPS, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.groups = groups

    def call(self, inputs: Any) -> Any:
        channels = inputs.shape[-1]
        order = [j * self.groups + g for g in range(self.groups) for j in range(channels // self.groups)]
        return ops.take(inputs, order, axis=-1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "groups": self.groups}


@keras.saving.register_keras_serializable(package="uml_tf")
class LevelMixer(keras.layers.Layer):
    """Mutual feature of one level: pairwise interaction of the two encoders' channel maps.

    1x1 convolution of each feature to ``width``, concatenation, channel shuffle, polarized
    self-attention, 1x1 convolution to ``filters`` (UML, section 2.2).

    Args:
        width: channels that each feature is brought to.
        filters: output channels; None leaves out the last convolution, so that there are 2 * width.
        interact: False (the ablation) leaves out shuffle and attention.
        integer_safe: see ``PolarizedSelfAttention``. It also leaves out the shuffle, a fixed order of
            channels that the 1x1 convolutions around it absorb: same function class, no gather.

    Shapes:
        ``[(B, H, W, D1), (B, H, W, D2)]`` to ``(B, H, W, filters)``.
    """

    def __init__(
        self,
        width: int,
        filters: int | None,
        interact: bool = True,
        integer_safe: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.width = width
        self.filters = filters
        self.interact = interact
        self.integer_safe = integer_safe
        self.class_conv = pointwise(width, False, "class_conv")
        self.segmentation_conv = pointwise(width, False, "segmentation_conv")
        self.shuffle = ChannelShuffle(name="shuffle") if interact and not integer_safe else None
        self.attention = PolarizedSelfAttention(integer_safe, name="attention") if interact else None
        self.out_conv = pointwise(filters, False, "out_conv") if filters else None

    def build(self, input_shape: list[tuple[int | None, ...]]) -> None:
        class_shape, segmentation_shape = input_shape
        mixed = (*class_shape[:-1], 2 * self.width)
        self.class_conv.build(class_shape)
        self.segmentation_conv.build(segmentation_shape)
        if self.attention is not None:
            self.attention.build(mixed)
        if self.out_conv is not None:
            self.out_conv.build(mixed)

    def call(self, inputs: list[Any], training: bool | None = None) -> Any:
        class_feature, segmentation_feature = inputs
        mixed = ops.concatenate(
            [self.class_conv(class_feature), self.segmentation_conv(segmentation_feature)], axis=-1
        )
        if self.shuffle is not None:
            mixed = self.shuffle(mixed)
        if self.attention is not None:
            mixed = self.attention(mixed, training=training)
        return mixed if self.out_conv is None else self.out_conv(mixed)

    def compute_output_shape(self, input_shape: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        return (*input_shape[0][:-1], self.filters or 2 * self.width)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "width": self.width,
            "filters": self.filters,
            "interact": self.interact,
            "integer_safe": self.integer_safe,
        }
