"""The kinds of file that a network is exported to: how each is made, marked and run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray
from uml_tf.export.metadata import add_metadata, describe
from uml_tf.export.onnx import OnnxModel, add_onnx_metadata, convert_onnx
from uml_tf.export.tensorrt import ENGINE, Precision, TensorRTModel, build_engine
from uml_tf.export.tflite import TFLiteSpec, convert

from uml_tf.networks import UML
from uml_tf.runtime.device_model import DeviceModel
from uml_tf.runtime.metadata import FileMetadata
from uml_tf.runtime.predictor import Predictor

Images = NDArray[Any] | None


class Target(Protocol):
    """A converted network.

    Attributes:
        file_name: what its file is called.
        metadata: what the file says of itself.
    """

    file_name: str
    metadata: FileMetadata

    def packed(self, kept_by_force: bool) -> bytes:
        """The file's content."""

    def open(self, path: Path) -> Predictor:
        """The written file, run by the runtime that is to run it."""


class TFLiteTarget:
    """``model.tflite``, for LiteRT on any device and in the browser."""

    file_name = "model.tflite"

    def __init__(self, model: UML, spec: TFLiteSpec, images: Images) -> None:
        self.metadata = describe(model, spec.quantize, spec.input_type)
        self._converted = convert(model, spec, images)

    def packed(self, kept_by_force: bool) -> bytes:
        """With the metadata, sealed."""
        return add_metadata(self._converted, replace(self.metadata, kept_by_force=kept_by_force))

    def open(self, path: Path) -> Predictor:
        """Run by the device runtime."""
        return DeviceModel(path)


class OnnxTarget:
    """``model.onnx``, checked by onnxruntime."""

    file_name = "model.onnx"

    def __init__(self, model: UML, quantize: str, batch: int, images: Images) -> None:
        self.metadata = describe(model, quantize, "float32")
        self.converted = convert_onnx(model, quantize, batch, images)

    def packed(self, kept_by_force: bool) -> bytes:
        """With the metadata in its properties."""
        return add_onnx_metadata(self.converted, replace(self.metadata, kept_by_force=kept_by_force))

    def open(self, path: Path) -> Predictor:
        """Run by onnxruntime."""
        return OnnxModel(path.read_bytes())


class TensorRTTarget:
    """``model.engine``, for the GPU that it is built on."""

    file_name = ENGINE

    def __init__(self, source: OnnxTarget, precision: Precision, batch: int) -> None:
        self.metadata = replace(source.metadata, quantize=precision)
        self._batch = batch
        self._engine = build_engine(source.converted, precision)

    def packed(self, kept_by_force: bool) -> bytes:
        """The engine; it has no room for metadata, which lie in the ONNX file beside it."""
        return self._engine

    def open(self, path: Path) -> Predictor:
        """Run by TensorRT."""
        return TensorRTModel(path.read_bytes(), self.metadata.image_size, self._batch)
