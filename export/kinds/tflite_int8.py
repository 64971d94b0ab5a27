"""``--tflite --quantize int8``: an int8 body under float32 evidential heads, in one graph."""

from __future__ import annotations

import re
from typing import Any

from uml_tf.export.kind import Converted, ExportKind, Request
from uml_tf.export.kinds import register
from uml_tf.export.targets import TFLITE
from uml_tf.runtime.errors import UmlError

# Ratio of the widest channel's range to the median channel's, above which each channel gets its own scale.
# A shared scale costs the median channel log2 of this ratio in bits.
_ONE_SCALE_UP_TO = 3.0


def _writers_of(names: list[str]) -> str:
    """The quantizer's regular expression for the operators that write these tensors."""
    return "|".join(f"(^|;){re.escape(name)}($|;)" for name in names)


def _recipe(model: Any) -> list[dict[str, Any]]:
    """The quantizer's rules: int8 everywhere except in the heads, the input and the outputs.

    Weights have one scale per channel only where the channels differ much in range: in a network with few
    channels, the scales are a tenth of the file, and elsewhere they were measured to improve nothing.
    """
    from ai_edge_quantizer import qtyping, recipe
    from ai_edge_quantizer.algorithm_manager import AlgorithmName
    from ai_edge_quantizer.recipe_manager import RecipeManager

    from uml_tf.export.flatbuffer import head_tensors, uneven_convolutions

    every, config = qtyping.TFLOperationName, qtyping.TensorQuantizationConfig

    def integer(granularity: Any) -> Any:
        return qtyping.OpQuantizationConfig(
            activation_tensor_config=config(num_bits=8, symmetric=False),
            weight_tensor_config=config(num_bits=8, symmetric=True, granularity=granularity),
            compute_precision=qtyping.ComputePrecision.INTEGER,
        )

    rules = RecipeManager()
    rules.load_quantization_recipe(recipe.static_wi8_ai8())
    uneven = _writers_of(uneven_convolutions(model, _ONE_SCALE_UP_TO))
    for operation in (every.CONV_2D, every.DEPTHWISE_CONV_2D):
        rules.add_quantization_config(".*", operation, integer(qtyping.QuantGranularity.TENSORWISE))
        if uneven:
            rules.add_quantization_config(uneven, operation, integer(qtyping.QuantGranularity.CHANNELWISE))
    heads = _writers_of(head_tensors(model))
    for where, operation in ((heads, every.ALL_SUPPORTED), (".*", every.INPUT), (".*", every.OUTPUT)):
        rules.add_quantization_config(where, operation, algorithm_key=AlgorithmName.NO_QUANTIZE)
    return rules.get_quantization_recipe()


def quantize_body(data: bytes, request: Request) -> bytes:
    """Quantizes everything but the heads, whose small evidence is below an int8 step.

    The range of an activation is its smallest and largest value on the calibration images. The quantizer's
    default, a moving average, clips peaks, and with them the evidence of the clearest images.
    """
    from ai_edge_quantizer.calibrator import Calibrator
    from ai_edge_quantizer.quantizer import Quantizer
    from ai_edge_quantizer.recipe_manager import RecipeManager
    from ai_edge_quantizer.utils.qsv_utils import min_max_update

    from uml_tf.export.flatbuffer import read_model
    from uml_tf.export.tflite import calibration_samples
    from uml_tf.runtime.device_model import SIGNATURE

    rules = RecipeManager()
    rules.load_quantization_recipe(_recipe(read_model(data)))
    calibrator = Calibrator(data, num_threads=2, qsv_update_func=min_max_update)
    # A list, because the calibrator iterates over it more than once.
    calibrator.calibrate({SIGNATURE: list(calibration_samples(request))}, rules)
    quantizer = Quantizer(data, rules.get_quantization_recipe())
    return bytes(quantizer.quantize(calibrator.get_model_qsvs()).quantized_model)


def convert(request: Request) -> Converted:
    """Converts in float32, then quantizes the body.

    Raises:
        UmlError: no tensor was quantized.
    """
    from uml_tf.export.flatbuffer import read_model, tensor_types
    from uml_tf.export.tflite import convert_network, tflite_file

    data = quantize_body(convert_network(request), request)
    if "INT8" not in tensor_types(read_model(data)):
        raise UmlError("export int8: found no int8 tensor, expected an int8 body")
    return tflite_file(data)


register(
    ExportKind(
        TFLITE,
        "int8",
        "Int8 body and float32 heads in one graph; any LiteRT client gets beliefs and uncertainty. "
        "For CPUs and browsers.",
        convert,
        calibrated=True,
        input_types=("float32", "uint8"),
    )
)
