"""From a Keras network to a TFLite file, in any of the kinds of quantization."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from uml_tf.export.flatbuffer import (
    head_tensors,
    operator_counts,
    read_model,
    tensor_types,
    uneven_convolutions,
)

from uml_tf.networks import UML
from uml_tf.runtime.errors import UmlError

Quantization = Literal["none", "float16", "dynamic", "int8", "int8-logits"]
QUANTIZATIONS: tuple[Quantization, ...] = ("none", "float16", "dynamic", "int8", "int8-logits")
CALIBRATED = ("int8", "int8-logits")
SIGNATURE = "serving_default"
IMAGE = "image"
# Widest channel over median channel: one scale costs the median channel log2 of it, in bits.
_ONE_SCALE_UP_TO = 3.0


@dataclass(frozen=True)
class TFLiteSpec:
    """What the file is to be.

    Attributes:
        quantize: "none" float32; "float16" and "dynamic" keep float arithmetic over small weights;
            "int8" an integer body under float heads; "int8-logits" integers throughout, the logits out.
        input_type: type of the input; its values are RGB 0 to 255 either way.
        batch: the fixed batch size.
    """

    quantize: Quantization = "none"
    input_type: Literal["float32", "uint8"] = "float32"
    batch: int = 1

    def __post_init__(self) -> None:
        if self.quantize == "int8-logits" and self.input_type != "float32":
            raise UmlError("--input uint8: not for int8-logits, whose input is int8")


class _Served(tf.Module):
    """A network as a SavedModel; written in a third of the time that Keras's own archive takes.

    It holds the variables themselves: what a module does not track, the converter leaves out.
    """

    def __init__(self, model: keras.Model, size: tuple[int, int], spec: TFLiteSpec) -> None:
        super().__init__()
        self.tracked = [variable.value for variable in model.variables]
        image = tf.TensorSpec((spec.batch, *size, 3), spec.input_type, name=IMAGE)
        self.answer = tf.function(
            lambda image: model(tf.cast(image, tf.float32), training=False), input_signature=[image]
        )

    def write(self, folder: Path) -> None:
        """Writes the SavedModel."""
        tf.saved_model.save(self, str(folder), signatures={SIGNATURE: self.answer})


def _samples(images: NDArray[Any], spec: TFLiteSpec) -> Iterator[dict[str, NDArray[Any]]]:
    for start in range(0, len(images), spec.batch):
        chunk = np.resize(images[start : start + spec.batch], (spec.batch, *images.shape[1:]))
        yield {IMAGE: chunk.astype(spec.input_type)}


def _converter(folder: Path, spec: TFLiteSpec, images: NDArray[Any] | None) -> tf.lite.TFLiteConverter:
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder))
    if spec.quantize in ("float16", "dynamic", "int8-logits"):
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if spec.quantize == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if spec.quantize == "int8-logits":
        assert images is not None
        converter.representative_dataset = lambda: _samples(images, spec)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    return converter


def _scope(names: list[str]) -> str:
    """The quantizer's regular expression for the operators that write these tensors."""
    return "|".join(f"(^|;){re.escape(name)}($|;)" for name in names)


def _recipe(model: Any) -> list[dict[str, Any]]:
    """The quantizer's rules: int8 for all, but neither for the heads nor for input and output.

    Weights have a scale a channel only where the channels differ in range: in a network of few channels
    the scales are a tenth of the file, and were measured to keep no more elsewhere.
    """
    from ai_edge_quantizer import qtyping, recipe
    from ai_edge_quantizer.algorithm_manager import AlgorithmName
    from ai_edge_quantizer.recipe_manager import RecipeManager

    every, config = qtyping.TFLOperationName, qtyping.TensorQuantizationConfig

    def integer(granularity: Any) -> Any:
        return qtyping.OpQuantizationConfig(
            activation_tensor_config=config(num_bits=8, symmetric=False),
            weight_tensor_config=config(num_bits=8, symmetric=True, granularity=granularity),
            compute_precision=qtyping.ComputePrecision.INTEGER,
        )

    rules = RecipeManager()
    rules.load_quantization_recipe(recipe.static_wi8_ai8())
    uneven = _scope(uneven_convolutions(model, _ONE_SCALE_UP_TO))
    for operation in (every.CONV_2D, every.DEPTHWISE_CONV_2D):
        rules.add_quantization_config(".*", operation, integer(qtyping.QuantGranularity.TENSORWISE))
        if uneven:
            rules.add_quantization_config(uneven, operation, integer(qtyping.QuantGranularity.CHANNELWISE))
    heads = _scope(head_tensors(model))
    for where, operation in ((heads, every.ALL_SUPPORTED), (".*", every.INPUT), (".*", every.OUTPUT)):
        rules.add_quantization_config(where, operation, algorithm_key=AlgorithmName.NO_QUANTIZE)
    return rules.get_quantization_recipe()


def _quantize_body(data: bytes, spec: TFLiteSpec, images: NDArray[Any]) -> bytes:
    """Makes everything int8 but the heads, whose small evidence an int8 step would swallow.

    The activations' ranges are the least and the greatest value seen: the quantizer's default, a moving
    average, clips peaks, and the evidence of the clearest images with them.
    """
    from ai_edge_quantizer.calibrator import Calibrator
    from ai_edge_quantizer.quantizer import Quantizer
    from ai_edge_quantizer.recipe_manager import RecipeManager
    from ai_edge_quantizer.utils.qsv_utils import min_max_update

    rules = RecipeManager()
    rules.load_quantization_recipe(_recipe(read_model(data)))
    calibrator = Calibrator(data, num_threads=2, qsv_update_func=min_max_update)
    # A list: the calibrator goes through it more than once.
    calibrator.calibrate({SIGNATURE: list(_samples(images, spec))}, rules)
    quantizer = Quantizer(data, rules.get_quantization_recipe())
    return bytes(quantizer.quantize(calibrator.get_model_qsvs()).quantized_model)


def _check(data: bytes, model: keras.Model, spec: TFLiteSpec) -> None:
    """What a conversion can get wrong without saying so."""
    written = read_model(data)
    operators, types = operator_counts(written), tensor_types(written)
    strange = sorted(name for name in operators if name in ("CUSTOM", "VAR_HANDLE", "READ_VARIABLE"))
    if strange:
        raise UmlError(f"export: found the operators {', '.join(strange)}, expected none of them")
    least = sum(int(np.prod(v.shape)) for v in model.trainable_variables) * 0.9
    if len(data) < least:
        raise UmlError(f"export: found a file of {len(data)} bytes, expected over {least:.0f}: weights lost")
    if spec.quantize == "int8-logits" and types - {"INT8", "INT32"}:
        found = ", ".join(sorted(types))
        raise UmlError(f"export int8-logits: found tensors of {found}, expected INT8 and INT32 alone")
    if spec.quantize == "int8" and "INT8" not in types:
        raise UmlError("export int8: found no int8 tensor, expected an int8 body")


def _converted(
    source: keras.Model, spec: TFLiteSpec, size: tuple[int, int], images: NDArray[Any] | None
) -> bytes:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "model"
        _Served(source, size, spec).write(folder)
        data: bytes = _converter(folder, spec, images).convert()
    if spec.quantize == "int8":
        assert images is not None
        data = _quantize_body(data, spec, images)
    return data


def convert(model: UML, spec: TFLiteSpec, images: NDArray[Any] | None = None) -> bytes:
    """The TFLite file, without metadata.

    Args:
        model: the network; its image size is the file's.
        spec: what the file is to be.
        images: ``(N, H, W, 3)`` RGB in [0, 255] of the training set, for the calibrated kinds.

    Raises:
        UmlError: the conversion failed, or its result is not what was asked for.
    """
    if spec.quantize in CALIBRATED and (images is None or not len(images)):
        raise UmlError(f"--quantize {spec.quantize}: found no calibration image, expected some")
    source = model.logits_model if spec.quantize == "int8-logits" else model
    try:
        data = _converted(source, spec, model.image_size, images)
    except (ValueError, RuntimeError, tf.errors.OpError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UmlError(f"export {spec.quantize}: the conversion failed ({reason[:200]})") from error
    _check(data, model, spec)
    return data
