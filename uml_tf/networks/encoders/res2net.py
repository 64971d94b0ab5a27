"""Res2Net-50 v1b 26w x 4s, as the published networks use it: full-resolution stem, frozen norms."""

from __future__ import annotations

from typing import Any

import keras

from uml_tf.networks.encoders.registry import ENCODERS, Encoder
from uml_tf.networks.normalization import frozen_batch_norm

SPLITS = 4
STAGES = ((64, 3, 1), (128, 4, 2), (256, 6, 2))
"""Planes, blocks and stride of the stages that the network reads. Stage 5 exists in the published
checkpoints, but the network does not read it, so it is not built."""


def _conv(x: Any, filters: int, kernel: int, stride: int, name: str) -> Any:
    if stride > 1:
        # PyTorch pads a strided convolution on all sides, "same" only where it must.
        x = keras.layers.ZeroPadding2D(kernel // 2, name=f"{name}_pad")(x)
    padding = "valid" if stride > 1 else "same"
    layer = keras.layers.Conv2D(filters, kernel, stride, padding, use_bias=False, name=name)
    return layer(x)


def _norm(x: Any, name: str, relu: bool = True) -> Any:
    x = frozen_batch_norm(name)(x)
    return keras.layers.ReLU(name=f"{name}_relu")(x) if relu else x


def _hierarchy(parts: list[Any], first: bool, width: int, stride: int, name: str) -> Any:
    """The splits of a block: independent in a stage's first block, chained in the others."""
    outputs: list[Any] = []
    for i, part in enumerate(parts[:-1]):
        if outputs and not first:
            part = keras.layers.Add(name=f"{name}_add_{i}")([outputs[-1], part])
        outputs.append(_norm(_conv(part, width, 3, stride, f"{name}_convs_{i}"), f"{name}_bns_{i}"))
    last = parts[-1]
    if first:
        last = keras.layers.ZeroPadding2D(1, name=f"{name}_pool_pad")(last)
        last = keras.layers.AveragePooling2D(3, stride, name=f"{name}_pool")(last)
    return keras.layers.Concatenate(name=f"{name}_concat")([*outputs, last])


def _block(x: Any, planes: int, stride: int, first: bool, name: str) -> Any:
    width = planes * 26 // 64
    shortcut = x
    if first:
        if stride > 1:
            shortcut = keras.layers.AveragePooling2D(stride, name=f"{name}_downsample_0")(shortcut)
        shortcut = _conv(shortcut, 4 * planes, 1, 1, f"{name}_downsample_1")
        shortcut = _norm(shortcut, f"{name}_downsample_2", relu=False)
    x = _norm(_conv(x, SPLITS * width, 1, 1, f"{name}_conv1"), f"{name}_bn1")
    parts = keras.ops.split(x, SPLITS, axis=-1)
    x = _hierarchy(parts, first, width, stride, name)
    x = _norm(_conv(x, 4 * planes, 1, 1, f"{name}_conv3"), f"{name}_bn3", relu=False)
    x = keras.layers.Add(name=f"{name}_out")([x, shortcut])
    return keras.layers.ReLU(name=f"{name}_relu")(x)


def res2net50(input_shape: tuple[int, int, int], name: str) -> keras.Model:
    """Features of 64, 256, 512 and 1024 channels at strides 1, 2, 4 and 8.

    Args:
        input_shape: (H, W, 3), sides divisible by 8.
        name: the model's name.

    Source: Gao et al., "Res2Net", TPAMI 2021, variant v1b; layer names follow its public checkpoint.
    """
    image = keras.Input(input_shape)
    x = _norm(_conv(image, 32, 3, 1, "conv1_0"), "conv1_1")
    x = _norm(_conv(x, 32, 3, 1, "conv1_3"), "conv1_4")
    x = _norm(_conv(x, 64, 3, 1, "conv1_6"), "bn1")
    features = [x]
    x = keras.layers.ZeroPadding2D(1, name="maxpool_pad")(x)  # zeros are neutral: x is after a ReLU
    x = keras.layers.MaxPooling2D(3, 2, name="maxpool")(x)
    for stage, (planes, blocks, stride) in enumerate(STAGES, start=1):
        for i in range(blocks):
            x = _block(x, planes, stride if i == 0 else 1, i == 0, f"layer{stage}_{i}")
        features.append(x)
    return keras.Model(image, features, name=name)


ENCODERS.add("res2net50_v1b_26w_4s", Encoder(res2net50, input_range=(0.0, 1.0)))
