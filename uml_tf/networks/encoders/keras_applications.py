"""The image networks of ``keras.applications``, with the weights that Keras publishes for them.

``mobilenet_v2``, ``mobilenet_v3_small``, ``mobilenet_v3_large`` and ``efficientnet_v2_b0`` are encoders;
``mobilenet_v2:ALPHA`` and ``mobilenet_v3_...:ALPHA`` name one of another width, e.g. ``mobilenet_v2:0.35``.
In place of a preset's encoder with ``context`` each of them has it too.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import keras

from uml_tf.networks.encoders.registry import ENCODERS, PRESET_SOURCES, Encoder, PresetSource
from uml_tf.networks.fast_layers import with_fast_layers
from uml_tf.networks.normalization import MOMENTUM
from uml_tf.networks.spec import EncoderSpec
from uml_tf.runtime.errors import UmlError, first_line


@dataclass(frozen=True)
class _Network:
    """One network of ``keras.applications``.

    Attributes:
        application: the function that builds it.
        strided: names of the layers that halve the feature at strides 2, 4, 8 and 16; the features are their
            inputs, the last and richest of each stride.
        input_range: (low, high) of the pixel values that it was trained on.
        fixed: arguments of the function that are not the user's.
        deepest: name of the last block's output, at stride 32, which ``context`` adds; the convolution behind
            it, which widens it for ImageNet's thousand classes, is left out.
        has_alpha: whether its width can be scaled.
    """

    application: Callable[..., keras.Model]
    strided: tuple[str, str, str, str]
    deepest: str
    input_range: tuple[float, float]
    fixed: dict[str, Any] = field(default_factory=dict)
    has_alpha: bool = True


def _mobilenet_strided(*blocks: str) -> tuple[str, ...]:
    return tuple(f"expanded_conv{block}_depthwise_pad" for block in blocks)


_NETWORKS = {
    "mobilenet_v2": _Network(
        keras.applications.MobileNetV2,
        ("block_1_pad", "block_3_pad", "block_6_pad", "block_13_pad"),
        "block_16_project_BN",
        (-1.0, 1.0),
    ),
    "mobilenet_v3_small": _Network(
        keras.applications.MobileNetV3Small,
        _mobilenet_strided("", "_1", "_3", "_8"),  # type: ignore[arg-type]
        "expanded_conv_10_add",
        (-1.0, 1.0),
        {"include_preprocessing": False},
    ),
    "mobilenet_v3_large": _Network(
        keras.applications.MobileNetV3Large,
        _mobilenet_strided("_1", "_3", "_6", "_12"),  # type: ignore[arg-type]
        "expanded_conv_14_add",
        (-1.0, 1.0),
        {"include_preprocessing": False},
    ),
    # It subtracts a mean of its own from each channel, which a range cannot say: it rescales by itself.
    "efficientnet_v2_b0": _Network(
        keras.applications.EfficientNetV2B0,
        ("block2a_expand_conv", "block3a_expand_conv", "block4a_dwconv2", "block6a_dwconv2"),
        "block6h_add",
        (0.0, 255.0),
        {"include_preprocessing": True},
        has_alpha=False,
    ),
}


def _backbone(
    network: _Network, input_shape: tuple[int, int, int], weights: str | None, alpha: float
) -> keras.Model:
    width = {"alpha": alpha} if network.has_alpha else {}
    return network.application(
        input_shape=input_shape, include_top=False, weights=weights, **width, **network.fixed
    )


def _encoder(network: _Network, backbone: keras.Model, name: str, context: bool) -> keras.Model:
    features = [backbone.get_layer(layer).input for layer in network.strided]
    if context:
        if any(side % 32 for side in backbone.input_shape[1:3]):
            height, width = backbone.input_shape[1:3]
            raise ValueError(f"found an image size of {height} x {width}, expected both divisible by 32")
        deepest = keras.layers.UpSampling2D(2, name="context")(backbone.get_layer(network.deepest).output)
        features[-1] = keras.layers.Concatenate(name="with_context")([features[-1], deepest])
    return keras.Model(backbone.input, features, name=name)


def _build(
    network: _Network,
    input_shape: tuple[int, int, int],
    name: str,
    alpha: float = 1.0,
    context: bool = False,
) -> keras.Model:
    """The features at strides 2, 4, 8 and 16, finest first, with random weights.

    Args:
        network: which.
        input_shape: (H, W, 3), sides divisible by 16, with ``context`` by 32.
        name: the model's name.
        alpha: width.
        context: the coarsest feature also has the last block's output, of stride 32, repeated twice in both
            directions; the blocks behind stride 16 hold most of what was learned on ImageNet.
    """
    encoder = _encoder(network, _backbone(network, input_shape, None, alpha), name, context)
    return with_fast_layers(encoder, MOMENTUM)


def _copy(backbone: keras.Model, encoder: keras.Model) -> None:
    """The weights of every layer that the encoder has of the backbone."""
    for layer in encoder.layers:
        if layer.weights:
            layer.set_weights(backbone.get_layer(layer.name).get_weights())


def _weights_folder() -> Path:
    """Where Keras looks for published weights before it fetches them."""
    return Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "models"


def _load_published(
    network: _Network, name: str, model: keras.Model, alpha: float = 1.0, context: bool = False
) -> None:
    """Loads the weights that Keras publishes; it fetches them over the network at the first use."""
    shape = tuple(model.inputs[0].shape[1:])
    try:
        backbone = _backbone(network, shape, "imagenet", alpha)
    except Exception as error:  # URL errors, a refused alpha, a damaged download
        reason = first_line(error)
        file = re.search(r"[\w.-]+\.h5", reason)
        cure = f"put {file[0]} into {_weights_folder()}, or give it" if file else "give its weights"
        raise UmlError(
            f"--encoder-weights imagenet: '{name}' (alpha {alpha:g}): cannot be fetched ({reason[:200]}); "
            f"{cure} as --encoder-weights FILE"
        ) from error
    _copy(backbone, model)


def _load_file(
    network: _Network, path: Path, model: keras.Model, alpha: float = 1.0, context: bool = False
) -> None:
    """Loads a weight file of the whole backbone, without its top.

    Raises:
        ValueError: the file is of another network.
    """
    shape = tuple(model.inputs[0].shape[1:])
    backbone = _backbone(network, shape, None, alpha)
    backbone.load_weights(path)
    _copy(backbone, model)


def _with_alpha(name: str, preset: str) -> EncoderSpec:
    try:
        alpha = float(preset)
    except ValueError:
        raise UmlError(
            f"encoder '{name}:{preset}': found no width, expected a number, e.g. {name}:0.35"
        ) from None
    if not 0 < alpha <= 2:
        raise UmlError(f"encoder '{name}:{preset}': found the width {alpha:g}, expected one in (0, 2]")
    return EncoderSpec(name, {"alpha": alpha})


def _register(name: str, network: _Network) -> None:
    ENCODERS.add(
        name,
        Encoder(
            partial(_build, network),
            network.input_range,
            published_weights=partial(_load_published, network, name),
            load_file=partial(_load_file, network),
            inherited=("context",),
        ),
    )
    if network.has_alpha:
        PRESET_SOURCES.add(
            name,
            PresetSource(
                partial(_with_alpha, name),
                lambda preset, model: _load_published(network, name, model, float(preset)),
            ),
        )


for _name, _network in _NETWORKS.items():
    _register(_name, _network)
