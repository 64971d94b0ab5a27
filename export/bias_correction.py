"""Bias correction: rounding a convolution's weights moves the mean of its result; its bias moves it back.

The inputs of a convolution behind a ReLU are never negative, so that the errors of its rounded weights do not
cancel out: they add the same to every pixel of a channel. On an ``edge`` network around pretrained
MobileNetV2 this was most of the error of the whole quantization.

Source: Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV 2019;
here with means measured on calibration images.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uml_tf.export.flatbuffer import CHANNEL_AXIS
from uml_tf.export.float_graph import FloatGraph

Array = NDArray[Any]

_LEVELS = 127
# The least that a channel's largest weight may be, over its bias; see ``_with_a_scale``.
_LEAST = 2.0**-12


def rounded(weights: Array, axis: int, each_channel: bool) -> Array:
    """The weights as int8 can hold them, with zero in the middle, as floats.

    Args:
        weights: of a convolution.
        axis: counts output channels.
        each_channel: one scale for each output channel; otherwise one for all.
    """
    others = tuple(a for a in range(weights.ndim) if a != axis) if each_channel else None
    scale = np.abs(weights).max(axis=others, keepdims=True).astype(np.float64) / _LEVELS
    scale = np.where(scale > 0, scale, 1.0)
    return np.asarray(np.rint(weights / scale) * scale)


def mean_result(weights: Array, patch: Array, depthwise: bool) -> Array:
    """Mean result ``(D,)`` of a convolution without its bias.

    Args:
        weights: ``(D, kh, kw, C)``, or ``(1, kh, kw, D)``.
        patch: ``(kh * kw, C)``, the mean of what its taps read.
        depthwise: which of the two.
    """
    if not depthwise:
        return np.asarray(weights.reshape(len(weights), -1) @ patch.reshape(-1))
    taps = weights.reshape(len(patch), patch.shape[1], -1)
    return np.asarray((taps * patch[:, :, None]).sum(axis=0).reshape(-1))


def _with_a_scale(weights: Array, bias: Array, axis: int) -> Array:
    """Gives channels that have next to no weights one that is far below their bias.

    Pretrained networks have channels whose weights are all zero. A scale of their own would be so small that
    their bias, counted in its steps, does not fit into 32 bits.
    """
    channels = np.moveaxis(weights, axis, 0).reshape(weights.shape[axis], -1).copy()
    least = np.maximum(np.abs(bias), 1e-3) * _LEAST
    empty = np.abs(channels).max(axis=1) < least
    channels[empty, 0] = least[empty]
    rest = [side for a, side in enumerate(weights.shape) if a != axis]
    return np.moveaxis(channels.reshape(-1, *rest), 0, axis)


def correct_biases(graph: FloatGraph, patches: Mapping[int, Array], each_channel: Collection[int]) -> None:
    """Rounds the weights of convolutions to what int8 can hold, and corrects their biases for it.

    The quantizer finds the same scales in the rounded weights and gives each the integer that it stands for.

    Args:
        graph: changed in place.
        patches: convolution -> mean of what its taps read, ``(taps, C)``.
        each_channel: convolutions that get one scale for each output channel.
    """
    for convolution, patch in patches.items():
        kind = graph.kinds[convolution]
        axis, depthwise = CHANNEL_AXIS[kind], kind == "DEPTHWISE_CONV_2D"
        weights, bias = graph.weights(convolution), graph.bias(convolution)
        own_scales = convolution in each_channel
        new = rounded(_with_a_scale(weights, bias, axis) if own_scales else weights, axis, own_scales)
        moved = mean_result(new - weights.astype(np.float64), patch, depthwise)
        graph.set_weights(convolution, new)
        graph.set_bias(convolution, bias - moved)
