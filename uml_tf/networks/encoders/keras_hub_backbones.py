"""keras-hub's EfficientNets, of which it has presets with published weights. The only importer of keras-hub.

``keras_hub:EfficientNetBackbone`` has random weights. ``keras_hub:PRESET`` is a preset of keras-hub's hub or
a local folder written by its ``save_to_preset``. keras-hub's other backbones have no feature of stride 2.
"""

from __future__ import annotations

import json
from typing import Any

import keras

from uml_tf.networks.encoders.registry import ENCODERS, PRESET_SOURCES, Encoder, PresetSource
from uml_tf.networks.fast_layers import with_fast_layers
from uml_tf.networks.normalization import MOMENTUM
from uml_tf.networks.spec import EncoderSpec
from uml_tf.runtime.errors import UmlError, first_line

SOURCE = "keras_hub"
BACKBONE = "EfficientNetBackbone"
_LEVELS = ("P1", "P2", "P3", "P4")
_DECIDED_HERE = ("name", "trainable", "dtype", "input_shape")

_B0: dict[str, Any] = {
    "stackwise_width_coefficients": [1.0] * 7,
    "stackwise_depth_coefficients": [1.0] * 7,
    "stackwise_kernel_sizes": [3, 3, 5, 3, 5, 5, 3],
    "stackwise_num_repeats": [1, 2, 2, 3, 3, 4, 1],
    "stackwise_input_filters": [32, 16, 24, 40, 80, 112, 192],
    "stackwise_output_filters": [16, 24, 40, 80, 112, 192, 320],
    "stackwise_expansion_ratios": [1, 6, 6, 6, 6, 6, 6],
    "stackwise_squeeze_and_excite_ratios": [0.25] * 7,
    "stackwise_strides": [1, 2, 2, 2, 1, 2, 1],
    "stackwise_block_types": ["v1"] * 7,
    "scale": [1 / 127.5] * 3,
    "offset": [-1.0] * 3,
}


def _keras_hub() -> Any:
    try:
        import keras_hub
    except ImportError as error:
        raise UmlError(
            f"encoder '{SOURCE}:...': keras-hub cannot be imported ({first_line(error)}); "
            "install it with: pip install 'uml-tf[keras-hub]'"
        ) from error
    return keras_hub


def _pyramid(backbone: Any) -> keras.Model:
    return keras.Model(backbone.input, [backbone.pyramid_outputs[level] for level in _LEVELS])


def _build(
    input_shape: tuple[int, int, int], name: str, scale: list[float], offset: list[float], **arguments: Any
) -> keras.Model:
    """The features at strides 2, 4, 8 and 16, finest first, with random weights.

    Args:
        input_shape: (H, W, 3).
        name: the model's name.
        scale: of each colour; the backbone reads ``image * scale + offset`` of an image in [0, 255].
        offset: of each colour.
        **arguments: of keras-hub's class.
    """
    decided = [argument for argument in _DECIDED_HERE if argument in arguments]
    if decided:
        raise UmlError(f"encoder '{SOURCE}:{BACKBONE}': found the arguments {', '.join(decided)}")
    backbone = _keras_hub().models.EfficientNetBackbone(input_shape=input_shape, **arguments)
    image = keras.Input(input_shape)
    scaled = keras.layers.Rescaling(scale, offset)(image)
    # The layers themselves and not one layer that holds them all, so that each is found by its name.
    features = _pyramid(backbone).call(scaled)
    return with_fast_layers(keras.Model(image, features, name=name), MOMENTUM)


def _of_colours(value: Any, default: float) -> list[float]:
    values = [default if value is None else value] * 3 if not isinstance(value, list | tuple) else value
    return [float(one) for one in values]


def _from_preset(kind: Any, preset: str, **options: Any) -> Any:
    try:
        return kind.from_preset(preset, **options)
    except Exception as error:  # the hub's client, Keras and keras-hub raise many kinds
        raise UmlError(
            f"encoder '{SOURCE}:{preset}': cannot be read ({first_line(error)[:160]}); expected {BACKBONE}, "
            "a local preset folder with its image converter, or a preset of keras-hub and network access"
        ) from error


def _resolve(preset: str) -> EncoderSpec:
    """The constructor arguments of a preset, and how its images are scaled."""
    keras_hub = _keras_hub()
    backbone = _from_preset(keras_hub.models.Backbone, preset, load_weights=False)
    if type(backbone).__name__ != BACKBONE:
        found = type(backbone).__name__
        raise UmlError(f"encoder '{SOURCE}:{preset}': found a preset of {found}, expected one of {BACKBONE}")
    converter = _from_preset(keras_hub.layers.ImageConverter, preset)
    arguments = {k: v for k, v in backbone.get_config().items() if k not in _DECIDED_HERE}
    arguments["scale"] = _of_colours(converter.scale, 1.0)
    arguments["offset"] = _of_colours(converter.offset, 0.0)
    return EncoderSpec(f"{SOURCE}:{BACKBONE}", json.loads(json.dumps(arguments)))


def _load_weights(preset: str, model: keras.Model) -> None:
    """The preset's weights into an encoder that was built from it."""
    backbone = _from_preset(_keras_hub().models.Backbone, preset, load_weights=True)
    model.set_weights(_pyramid(backbone).get_weights())


ENCODERS.add(f"{SOURCE}:{BACKBONE}", Encoder(_build, defaults=_B0))
PRESET_SOURCES.add(SOURCE, PresetSource(_resolve, _load_weights))
