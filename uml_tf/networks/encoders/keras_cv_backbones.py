"""The keras-cv backbones with a feature pyramid, and keras-cv's presets. The only importer of keras-cv.

``keras_cv:CLASS`` is a class of the table below, with random weights. ``keras_cv:PRESET`` is a preset of
keras-cv's hub or a local folder written by its ``save_to_preset``; it resolves to one of the classes.
"""

from __future__ import annotations

import importlib
import json
from functools import partial
from types import ModuleType
from typing import Any

import keras

from uml_tf.networks.encoders.registry import ENCODERS, PRESET_SOURCES, Encoder, PresetSource
from uml_tf.networks.fast_layers import with_fast_layers
from uml_tf.networks.lean_imports import absent
from uml_tf.networks.normalization import MOMENTUM
from uml_tf.networks.spec import EncoderSpec
from uml_tf.runtime.errors import UmlError

SOURCE = "keras_cv"
_LEVELS = 4

_EFFICIENTNET = {
    "stackwise_kernel_sizes": [3, 3, 5, 3, 5, 5, 3],
    "stackwise_num_repeats": [1, 2, 2, 3, 3, 4, 1],
    "stackwise_input_filters": [32, 16, 24, 40, 80, 112, 192],
    "stackwise_output_filters": [16, 24, 40, 80, 112, 192, 320],
    "stackwise_expansion_ratios": [1, 6, 6, 6, 6, 6, 6],
    "stackwise_strides": [1, 2, 2, 2, 1, 2, 1],
}

# keras-cv fetches the arguments of its named presets over the network. These smallest published
# configurations make it possible to build each class by its name alone.
_SMALLEST: dict[str, dict[str, Any]] = {
    "EfficientNetLiteBackbone": {
        "width_coefficient": 1.0,
        "depth_coefficient": 1.0,
        **_EFFICIENTNET,
    },
    "EfficientNetV1Backbone": {
        "width_coefficient": 1.0,
        "depth_coefficient": 1.0,
        **_EFFICIENTNET,
        "stackwise_squeeze_and_excite_ratios": [0.25] * 7,
    },
    "EfficientNetV2Backbone": {
        "width_coefficient": 1.0,
        "depth_coefficient": 1.0,
        "stackwise_kernel_sizes": [3, 3, 3, 3, 3, 3],
        "stackwise_num_repeats": [1, 2, 2, 3, 5, 8],
        "stackwise_input_filters": [32, 16, 32, 48, 96, 112],
        "stackwise_output_filters": [16, 32, 48, 96, 112, 192],
        "stackwise_expansion_ratios": [1, 4, 4, 4, 6, 6],
        "stackwise_squeeze_and_excite_ratios": [0, 0, 0, 0.25, 0.25, 0.25],
        "stackwise_strides": [1, 2, 2, 2, 1, 2],
        "stackwise_conv_types": ["fused", "fused", "fused", "unfused", "unfused", "unfused"],
    },
    "MobileNetV3Backbone": {
        "stackwise_expansion": [1, 72.0 / 16, 88.0 / 24, 4, 6, 6, 3, 3, 6, 6, 6],
        "stackwise_filters": [16, 24, 24, 40, 40, 40, 48, 48, 96, 96, 96],
        "stackwise_kernel_size": [3, 3, 3, 5, 5, 5, 5, 5, 5, 5, 5],
        "stackwise_stride": [2, 2, 1, 2, 1, 1, 1, 1, 2, 1, 1],
        "stackwise_se_ratio": [0.25, None, None, *[0.25] * 8],
        "stackwise_activation": ["relu"] * 3 + ["hard_swish"] * 8,
    },
    "ResNetV2Backbone": {
        "stackwise_filters": [64, 128, 256, 512],
        "stackwise_blocks": [2, 2, 2, 2],
        "stackwise_strides": [1, 2, 2, 2],
        "block_type": "basic_block",
    },
    "ResNetBackbone": {
        "stackwise_filters": [64, 128, 256, 512],
        "stackwise_blocks": [2, 2, 2, 2],
        "stackwise_strides": [1, 2, 2, 2],
        "block_type": "basic_block",
    },
    "DenseNetBackbone": {
        "stackwise_num_repeats": [6, 12, 24, 16],
        "compression_ratio": 0.5,
        "growth_rate": 32,
    },
    "CSPDarkNetBackbone": {
        "stackwise_channels": [32, 64, 128, 256],
        "stackwise_depth": [1, 3, 3, 1],
        "use_depthwise": False,
    },
}


# Arguments that the network decides: it rescales the image itself, by the encoder's input range.
_DECIDED_HERE = ("name", "trainable", "input_shape", "input_tensor", "include_rescaling")


def _keras_cv(kagglehub: bool = False) -> ModuleType:
    """The package without what it imports for its figures, and without its hub's client unless asked for."""
    with absent("matplotlib", "pandas", "kagglehub"):
        import keras_cv
    if kagglehub:
        from keras_cv.src.utils import preset_utils

        preset_utils.kagglehub = importlib.import_module("kagglehub")
    return keras_cv


def _pyramid(backbone: keras.Model, model_name: str, encoder: str) -> keras.Model:
    """The part of a backbone that computes its first levels, finest first."""
    layers = backbone.pyramid_level_inputs
    levels = sorted(layers, key=lambda level: int(level[1:]))[:_LEVELS]
    if len(levels) < _LEVELS:
        raise UmlError(f"encoder '{encoder}': found {len(levels)} pyramid levels, expected {_LEVELS}")
    outputs = [backbone.get_layer(layers[level]).output for level in levels]
    return keras.Model(backbone.input, outputs, name=model_name)


def _build(class_name: str, input_shape: tuple[int, int, int], name: str, **arguments: Any) -> keras.Model:
    """The first four pyramid features of a keras-cv backbone, finest first."""
    keras_cv = _keras_cv()
    decided = [argument for argument in _DECIDED_HERE if argument in arguments]
    if decided:
        raise UmlError(f"encoder '{SOURCE}:{class_name}': found the arguments {', '.join(decided)}")
    kind = getattr(keras_cv.models, class_name)
    backbone = kind(input_shape=input_shape, include_rescaling=False, **arguments)
    pyramid = _pyramid(backbone, name, f"{SOURCE}:{class_name}")
    return with_fast_layers(pyramid, MOMENTUM)


def _from_preset(preset: str, load_weights: bool) -> keras.Model:
    """keras-cv's backbone of a preset, from its hub or from a local folder."""
    keras_cv = _keras_cv(kagglehub=True)
    try:
        return keras_cv.models.Backbone.from_preset(preset, load_weights=load_weights)
    except Exception as error:  # the hub's client, Keras and keras-cv raise many kinds
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise UmlError(
            f"encoder '{SOURCE}:{preset}': found no class of that name, and the preset cannot be read "
            f"({lines[-1][:120]}); expected one of {', '.join(sorted(_SMALLEST))}, a local preset folder, or "
            "a preset of keras-cv and network access"
        ) from error


def _resolve(preset: str) -> EncoderSpec:
    """The class and the constructor arguments of a preset.

    Every class of the table divides the image by 255 where it rescales by itself, and expects an image
    divided by 255 where it does not.
    """
    backbone = _from_preset(preset, load_weights=False)
    kind = type(backbone).__name__
    if kind not in _SMALLEST:
        known = ", ".join(sorted(_SMALLEST))
        raise UmlError(f"encoder '{SOURCE}:{preset}': found a preset of {kind}, expected one of {known}")
    arguments = {k: v for k, v in backbone.get_config().items() if k not in _DECIDED_HERE}
    plain = json.loads(json.dumps(arguments))  # as a saved network holds them
    return EncoderSpec(f"{SOURCE}:{kind}", plain, input_range=(0.0, 1.0))


def _load_weights(preset: str, model: keras.Model) -> None:
    """The preset's weights into an encoder that was built from it."""
    backbone = _from_preset(preset, load_weights=True)
    model.set_weights(_pyramid(backbone, model.name, f"{SOURCE}:{preset}").get_weights())


for _name, _arguments in _SMALLEST.items():
    ENCODERS.add(
        f"{SOURCE}:{_name}", Encoder(partial(_build, _name), input_range=(-1.0, 1.0), defaults=_arguments)
    )
PRESET_SOURCES.add(SOURCE, PresetSource(_resolve, _load_weights))
