"""VGG16 with frozen batch norm, the segmentation encoder of the published paper."""

from __future__ import annotations

import keras

from uml_tf.networks.normalization import FrozenBatchNorm

STAGES = ((64, 2), (128, 2), (256, 3), (512, 3))
"""Channels and convolutions of the stages that the network reads; stage 5 is read by nothing."""


def vgg16(input_shape: tuple[int, int, int], name: str) -> keras.Model:
    """Features of 64, 128, 256 and 512 channels at strides 1, 2, 4 and 8.

    Args:
        input_shape: (H, W, 3), sides divisible by 8.
        name: the model's name.

    Source: Simonyan and Zisserman, 2015, with batch norm; cut after conv4_3.
    """
    image = keras.Input(input_shape)
    x, features = image, []
    for stage, (filters, convs) in enumerate(STAGES, start=1):
        if stage > 1:
            x = keras.layers.MaxPooling2D(2, name=f"pool{stage - 1}")(x)
        for i in range(1, convs + 1):
            layer = f"conv{stage}_{i}"
            x = keras.layers.Conv2D(filters, 3, padding="same", name=f"{layer}_conv")(x)
            x = FrozenBatchNorm(name=f"{layer}_bn")(x)
            x = keras.layers.ReLU(name=f"{layer}_relu")(x)
        features.append(x)
    return keras.Model(image, features, name=name)
