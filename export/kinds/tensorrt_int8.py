"""``--tensorrt --precision int8``: an engine with int8 arithmetic."""

from __future__ import annotations

from uml_tf.export.kind import Converted, ExportKind, Request
from uml_tf.export.kinds import register
from uml_tf.export.targets import TENSORRT


def convert(request: Request) -> Converted:
    """Builds from ONNX with Q/DQ nodes, which say what is computed in int8."""
    from uml_tf.export.onnx import convert_network, quantize
    from uml_tf.export.tensorrt import engine_or_command

    return engine_or_command(quantize(convert_network(request), request), "int8", request)


register(
    ExportKind(TENSORRT, "int8", "Int8 arithmetic where the Q/DQ nodes say so.", convert, calibrated=True)
)
