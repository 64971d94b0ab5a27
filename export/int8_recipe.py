"""The rules by which ai-edge-quantizer makes the body of a network int8."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Any

import numpy as np
from ai_edge_quantizer import qtyping, recipe
from ai_edge_quantizer.algorithm_manager import AlgorithmName
from ai_edge_quantizer.quantizer import Quantizer
from ai_edge_quantizer.recipe_manager import RecipeManager

from uml_tf.export.activations import Activations
from uml_tf.export.flatbuffer import CHANNEL_AXIS
from uml_tf.export.float_graph import FloatGraph

Recipe = list[dict[str, Any]]

# Ratio of the widest channel's range to the median channel's, above which each channel gets its own scale.
# A shared scale costs the median channel log2 of this ratio in bits.
_ONE_SCALE_UP_TO = 3.0

_EVERY = qtyping.TFLOperationName


def uneven_convolutions(graph: FloatGraph, ratio: float = _ONE_SCALE_UP_TO) -> set[int]:
    """Convolutions of the body whose channels differ in the range of their weights.

    In a network with few channels, the scales are a tenth of the file, and elsewhere they were measured to
    improve nothing.

    Args:
        graph: a float file.
        ratio: of the widest channel's range to the median channel's; above it, a convolution is uneven.
    """
    found = set()
    for convolution in set(graph.convolutions) & set(graph.body):
        weights = graph.weights(convolution)
        axis = CHANNEL_AXIS[graph.kinds[convolution]]
        ranges = np.abs(np.moveaxis(weights, axis, 0)).reshape(weights.shape[axis], -1).max(axis=1)
        if ranges.max() > ratio * np.median(ranges):
            found.add(convolution)
    return found


def _writers_of(names: Iterable[str]) -> str:
    """The quantizer's regular expression for the operators that write these tensors."""
    known = "|".join(re.escape(name) for name in names)
    return f"(?:^|;)(?:{known})(?:$|;)" if known else ""


def _integer(granularity: Any) -> Any:
    config = qtyping.TensorQuantizationConfig
    return qtyping.OpQuantizationConfig(
        activation_tensor_config=config(num_bits=8, symmetric=False),
        weight_tensor_config=config(num_bits=8, symmetric=True, granularity=granularity),
        compute_precision=qtyping.ComputePrecision.INTEGER,
    )


def int8_recipe(graph: FloatGraph, each_channel: Collection[int], in_float: Collection[int] = ()) -> Recipe:
    """Int8 everywhere except in the heads, the input, the outputs and some operators.

    Args:
        graph: the float file.
        each_channel: convolutions that get a scale for each output channel; others have one for all.
        in_float: operators of the body that are not quantized.
    """
    rules = RecipeManager()
    rules.load_quantization_recipe(recipe.static_wi8_ai8())
    uneven = _writers_of(graph.result_name(convolution) for convolution in sorted(each_channel))
    for operation in (_EVERY.CONV_2D, _EVERY.DEPTHWISE_CONV_2D):
        rules.add_quantization_config(".*", operation, _integer(qtyping.QuantGranularity.TENSORWISE))
        if uneven:
            rules.add_quantization_config(uneven, operation, _integer(qtyping.QuantGranularity.CHANNELWISE))
    names = [*sorted(graph.heads), *(graph.result_name(operator) for operator in sorted(in_float))]
    kept = [(_writers_of(names), _EVERY.ALL_SUPPORTED), (".*", _EVERY.INPUT), (".*", _EVERY.OUTPUT)]
    for where, operation in kept:
        rules.add_quantization_config(where, operation, algorithm_key=AlgorithmName.NO_QUANTIZE)
    found: Recipe = rules.get_quantization_recipe()
    return found


def quantize(data: bytes, recipe_rules: Recipe, activations: Activations) -> bytes:
    """The quantized file.

    Args:
        data: a float file.
        recipe_rules: what becomes int8.
        activations: the range of a tensor is its smallest and largest value on the calibration images. The
            quantizer's own calibration, a moving average, clips peaks, and with them the evidence of the
            clearest images; leaving out the outermost thousandth or ten-thousandth is worse still.
    """
    measured = {
        name: {"min": np.full((1, 1, 1, 1), low, np.float32), "max": np.full((1, 1, 1, 1), high, np.float32)}
        for name, (low, high) in activations.ranges.items()
    }
    return bytes(Quantizer(data, recipe_rules).quantize(measured).quantized_model)
