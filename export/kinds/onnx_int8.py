"""``--onnx --quantize int8``: ONNX with explicit Q/DQ nodes."""

from __future__ import annotations

from uml_tf.export.kind import Converted, ExportKind, Request
from uml_tf.export.kinds import register
from uml_tf.export.targets import ONNX


def convert(request: Request) -> Converted:
    """Converts in float32, then adds Q/DQ nodes around the convolutions and dense layers of the body."""
    from uml_tf.export.onnx import convert_network, onnx_file, quantize

    return Converted((onnx_file(quantize(convert_network(request), request)),))


register(
    ExportKind(
        ONNX,
        "int8",
        "Explicit Q/DQ nodes with symmetric scales, one per channel for weights. A source for TensorRT.",
        convert,
        calibrated=True,
    )
)
