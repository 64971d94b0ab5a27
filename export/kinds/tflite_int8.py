"""``--tflite --quantize int8``: an int8 body under float32 evidential heads, in one graph."""

from __future__ import annotations

from uml_tf.export.kind import Converted, ExportKind, Request
from uml_tf.export.kinds import register
from uml_tf.export.targets import TFLITE
from uml_tf.runtime.errors import UmlError


def convert(request: Request) -> Converted:
    """Converts in float32, then quantizes the body.

    Raises:
        UmlError: no tensor was quantized.
    """
    from uml_tf.export.flatbuffer import read_model, tensor_types
    from uml_tf.export.int8_body import quantize_body
    from uml_tf.export.tflite import convert_network, tflite_file

    body = quantize_body(convert_network(request), request)
    if "INT8" not in tensor_types(read_model(body.data)):
        raise UmlError("export int8: found no int8 tensor, expected an int8 body")
    return tflite_file(body.data, remarks=body.remarks, numbers=body.numbers)


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
