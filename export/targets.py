"""The file formats that the kinds of this package are written in."""

from __future__ import annotations

from uml_tf.export.kind import Target

_ONNX = ("onnx", "onnxruntime", "tf2onnx")

TFLITE = Target(
    "tflite",
    "A device bundle: model.tflite and what runs it.",
    options=("input", "example", "web", "sbom"),
    bundle=True,
)
ONNX = Target("onnx", "model.onnx, checked by ONNX Runtime.", requires=_ONNX, extra="onnx")
TENSORRT = Target(
    "tensorrt",
    "model.engine, for the GPU that it is built on.",
    setting="precision",
    default="fp16",
    options=("allow-deferred-build",),
    requires=_ONNX,
    extra="onnx",
)
