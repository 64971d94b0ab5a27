"""``--tflite --quantize dynamic``: int8 weights, activations quantized while running."""

from __future__ import annotations

from typing import Any

from uml_tf.export.kind import Converted, ExportKind, Request
from uml_tf.export.kinds import register
from uml_tf.export.targets import TFLITE


def _configure(converter: Any) -> None:
    import tensorflow as tf

    converter.optimizations = [tf.lite.Optimize.DEFAULT]


def convert(request: Request) -> Converted:
    """Converts with weights of 8 bits; no calibration images are needed."""
    from uml_tf.export.tflite import convert_network, tflite_file

    return tflite_file(convert_network(request, _configure))


register(
    ExportKind(
        TFLITE,
        "dynamic",
        "Int8 weights, float activations. For CPUs, where int8 loses too much.",
        convert,
        input_types=("float32", "uint8"),
    )
)
