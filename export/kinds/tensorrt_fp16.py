"""``--tensorrt --precision fp16``: an engine with float16 arithmetic."""

from __future__ import annotations

from uml_tf.export.kind import Converted, ExportKind, Request
from uml_tf.export.kinds import register
from uml_tf.export.targets import TENSORRT


def convert(request: Request) -> Converted:
    """Builds from float32 ONNX; the builder chooses where float16 is used."""
    from uml_tf.export.onnx import convert_network
    from uml_tf.export.tensorrt import engine_or_command

    return engine_or_command(convert_network(request), "fp16", request)


register(ExportKind(TENSORRT, "fp16", "Float16 arithmetic.", convert))
