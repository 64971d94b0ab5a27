"""Bilinear resizing inside the network, with either corner convention."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


def _aligned_index(source: int, target: int) -> list[float]:
    step = (source - 1) / (target - 1) if target > 1 else 0.0
    return [i * step for i in range(target)]


def _aligned_rows(inputs: Any, axis: int, target: int) -> Any:
    """Interpolates one axis on the grid whose first and last points coincide with the source's."""
    source = inputs.shape[axis]
    position = _aligned_index(source, target)
    low = [min(int(p), source - 1) for p in position]
    high = [min(i + 1, source - 1) for i in low]
    shape = [1] * len(inputs.shape)
    shape[axis] = target
    weight = ops.reshape(ops.cast([p - i for p, i in zip(position, low, strict=True)], inputs.dtype), shape)
    a, b = ops.take(inputs, low, axis=axis), ops.take(inputs, high, axis=axis)
    return a + (b - a) * weight


def _resize_aligned(inputs: Any, size: tuple[int, int]) -> Any:
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        # One kernel, and one RESIZE_BILINEAR operator in TFLite; keras.ops has no aligned corners.
        resized = tf.raw_ops.ResizeBilinear(images=inputs, size=size, align_corners=True)
        return tf.cast(resized, inputs.dtype)
    return _aligned_rows(_aligned_rows(inputs, 1, size[0]), 2, size[1])


@keras.saving.register_keras_serializable(package="uml_tf")
class BilinearResize(keras.layers.Layer):
    """Resizes a feature map by a factor or to a size, bilinearly and without antialiasing.

    The published networks align corners both up and down; ``edge`` uses half-pixel centres, which
    every mobile runtime accelerates.

    Args:
        scale: factor on both sides, e.g. 2 or 1 / 8. The result is rounded down.
        align_corners: whether the outermost sample points of both grids coincide.

    Shapes:
        ``(B, H, W, D)`` with static H and W to ``(B, H * scale, W * scale, D)``.
    """

    def __init__(self, scale: float, align_corners: bool, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale = scale
        self.align_corners = align_corners

    def call(self, inputs: Any) -> Any:
        size = (int(inputs.shape[1] * self.scale), int(inputs.shape[2] * self.scale))
        if size == tuple(inputs.shape[1:3]):
            return inputs
        if self.align_corners:
            return _resize_aligned(inputs, size)
        return ops.image.resize(inputs, size, interpolation="bilinear")

    def compute_output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        batch, height, width, channels = input_shape
        return (batch, int(height * self.scale), int(width * self.scale), channels)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale, "align_corners": self.align_corners}


def reduce_by(factor: int, average: bool, name: str, dtype: str | None = None) -> keras.layers.Layer:
    """A layer that makes a map ``factor`` times smaller.

    Args:
        factor: integer factor, at least 1.
        average: mean over factor x factor blocks (edge: every pixel counts); else bilinear with aligned
            corners, as the published networks do.
        name: the layer's name.
        dtype: the layer's precision, None for the network's.
    """
    if average:
        return keras.layers.AveragePooling2D(factor, name=name, dtype=dtype)
    return BilinearResize(1 / factor, align_corners=True, name=name, dtype=dtype)
