"""``--onnx --quantize none``: ONNX in float32."""

from __future__ import annotations

from uml_tf.export.kind import Converted, ExportKind, Request
from uml_tf.export.kinds import register
from uml_tf.export.targets import ONNX


def convert(request: Request) -> Converted:
    """Converts without quantization."""
    from uml_tf.export.onnx import convert_network, onnx_file

    return Converted((onnx_file(convert_network(request)),))


register(ExportKind(ONNX, "none", "Float32. For ONNX Runtime and other converters.", convert))
