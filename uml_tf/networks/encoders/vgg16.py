"""VGG16 with frozen batch norm, the segmentation encoder of the published paper."""

from __future__ import annotations

import keras

from uml_tf.networks.encoders.registry import ENCODERS, Encoder
from uml_tf.networks.normalization import frozen_batch_norm

STAGES = ((64, 2), (128, 2), (256, 3), (512, 3))
"""Channels and convolutions of the stages that the network reads; it does not read stage 5."""

# torchvision's vgg16_bn: position of each convolution in ``features``; its norm comes next.
_TORCHVISION = {
    0: "conv1_1",
    3: "conv1_2",
    7: "conv2_1",
    10: "conv2_2",
    14: "conv3_1",
    17: "conv3_2",
    20: "conv3_3",
    24: "conv4_1",
    27: "conv4_2",
    30: "conv4_3",
    34: "conv5_1",
    37: "conv5_2",
    40: "conv5_3",
}


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
            x = frozen_batch_norm(f"{layer}_bn")(x)
            x = keras.layers.ReLU(name=f"{layer}_relu")(x)
        features.append(x)
    return keras.Model(image, features, name=name)


def _torch_name(name: str) -> str:
    """Torchvision's ``features.POSITION.LEAF`` as ``CONV.conv.LEAF`` or ``CONV.bn.LEAF``."""
    match name.split("."):
        case ["features", position, leaf] if position.isdecimal():
            at = int(position)
            if at in _TORCHVISION:
                return f"{_TORCHVISION[at]}.conv.{leaf}"
            if at - 1 in _TORCHVISION:
                return f"{_TORCHVISION[at - 1]}.bn.{leaf}"
    return name


ENCODERS.add("vgg16_bn", Encoder(vgg16, input_range=(0.0, 1.0), torch_name=_torch_name))
