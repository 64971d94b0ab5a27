"""Every keras-cv backbone with a feature pyramid. The only place that imports keras-cv."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import keras

from uml_tf.networks.normalization import MOMENTUM, with_fused_batch_norms
from uml_tf.runtime.errors import UmlError

_EFFICIENTNET = {
    "stackwise_kernel_sizes": [3, 3, 5, 3, 5, 5, 3],
    "stackwise_num_repeats": [1, 2, 2, 3, 3, 4, 1],
    "stackwise_input_filters": [32, 16, 24, 40, 80, 112, 192],
    "stackwise_output_filters": [16, 24, 40, 80, 112, 192, 320],
    "stackwise_expansion_ratios": [1, 6, 6, 6, 6, 6, 6],
    "stackwise_strides": [1, 2, 2, 2, 1, 2, 1],
}

# keras-cv fetches the arguments of its named presets from the network; these smallest published
# configurations let each class be built by its name alone.
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


def _backbone(
    name: str, arguments: dict[str, Any], input_shape: tuple[int, int, int], weights: str | None
) -> keras.Model:
    import keras_cv

    kind = getattr(keras_cv.models, name, None)
    arguments = {"include_rescaling": False, **_SMALLEST.get(name, {}), **arguments}
    if kind is not None and weights:
        raise UmlError(
            f"--encoder-weights {weights}: encoder 'keras_cv:{name}' is a class without published weights, "
            "expected a keras-cv preset such as keras_cv:efficientnetv2_b0_imagenet"
        )
    if kind is not None:
        return kind(input_shape=input_shape, **arguments)
    # Not a class: a preset of keras-cv's hub, whose configuration comes over the network.
    try:
        return keras_cv.models.Backbone.from_preset(name, load_weights=weights == "imagenet")
    except Exception as error:
        reason = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
        raise UmlError(
            f"encoder 'keras_cv:{name}': found neither a keras-cv class nor a preset that could be "
            f"fetched ({reason[:120]}); expected one of {', '.join(sorted(_SMALLEST))}, or network access"
        ) from error


def keras_cv_encoder(
    name: str,
    arguments: dict[str, Any],
    input_shape: tuple[int, int, int],
    levels: int,
    weights: str | None,
    model_name: str,
) -> keras.Model:
    """The first ``levels`` pyramid features of a keras-cv backbone, finest first.

    Args:
        name: a class of ``keras_cv.models`` or a keras-cv preset.
        arguments: constructor arguments that differ from the smallest published configuration.
        input_shape: (H, W, 3).
        levels: number of features.
        weights: "imagenet" to load a preset's weights (needs the network), or None.
        model_name: the answer's name.

    Raises:
        UmlError: the name is unknown, or nothing could be fetched.
    """
    backbone = _backbone(name, arguments, input_shape, weights)
    pyramid = backbone.pyramid_level_inputs
    keys = sorted(pyramid, key=lambda key: int(key[1:]))[:levels]
    if len(keys) < levels:
        raise UmlError(f"encoder 'keras_cv:{name}': found {len(keys)} pyramid levels, expected {levels}")
    outputs = [backbone.get_layer(pyramid[key]).output for key in keys]
    sides = [input_shape[0] / output.shape[1] for output in outputs]
    if any(not math.isclose(b / a, 2) for a, b in pairwise(sides)):
        raise UmlError(f"encoder 'keras_cv:{name}': found strides {sides}, expected each twice the last")
    return with_fused_batch_norms(keras.Model(backbone.input, outputs, name=model_name), MOMENTUM)
