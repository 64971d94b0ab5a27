"""``--tflite --quantize float16``: float16 weights, float arithmetic."""

from __future__ import annotations

from typing import Any

from uml_tf.export.kind import Converted, ExportKind, Request
from uml_tf.export.kinds import register
from uml_tf.export.targets import TFLITE


def _configure(converter: Any) -> None:
    import tensorflow as tf

    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]


def convert(request: Request) -> Converted:
    """Converts with weights of 16 bits."""
    from uml_tf.export.tflite import convert_network, tflite_file

    return tflite_file(convert_network(request, _configure))


register(
    ExportKind(
        TFLITE,
        "float16",
        "Float16 weights, float arithmetic. For GPUs; the safest small file.",
        convert,
        input_types=("float32", "uint8"),
    )
)
