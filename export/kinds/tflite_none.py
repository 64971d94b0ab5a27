"""``--tflite --quantize none``: float32 throughout."""

from __future__ import annotations

from uml_tf.export.kind import Converted, ExportKind, Request
from uml_tf.export.kinds import register
from uml_tf.export.targets import TFLITE


def convert(request: Request) -> Converted:
    """Converts without quantization. Tensor names stay in the file: other converters need them."""
    from uml_tf.export.tflite import convert_network, tflite_file

    return tflite_file(convert_network(request), names=True)


register(
    ExportKind(
        TFLITE,
        "none",
        "Float32. For comparison and as a source for other converters.",
        convert,
        input_types=("float32", "uint8"),
    )
)
