"""From a Keras network to ONNX, in float32 or with explicit Q/DQ nodes, and running the file.

Needs the packages of the extra ``[onnx]``; only the kinds that write ONNX import this module.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import tensorflow as tf
from numpy.typing import NDArray

from uml_tf.export.kind import IMAGE, ExportedFile, Request
from uml_tf.runtime.contract import CONTRACT
from uml_tf.runtime.metadata import METADATA_NAME, FileMetadata

Array = NDArray[Any]

OPSET = 18
_WEIGHTED = ["Conv", "Gemm"]


class _Reader:
    """Gives the calibration images to ONNX Runtime's quantizer, one batch at a time."""

    def __init__(self, images: Array, batch: int) -> None:
        whole = len(images) // batch * batch or batch
        self._batches = iter(
            np.resize(images, (whole, *images.shape[1:])).reshape(-1, batch, *images.shape[1:])
        )

    def get_next(self) -> dict[str, Array] | None:
        """The next batch, or None."""
        batch = next(self._batches, None)
        return None if batch is None else {IMAGE: batch.astype(np.float32)}


def _last_weighted_nodes(model: onnx.ModelProto) -> list[str]:
    """Names of the nodes that give the logits: the last convolution or dense layer before every output."""
    producers = {name: node for node in model.graph.node for name in node.output}
    found, seen = set(), set()
    waiting = [output.name for output in model.graph.output]
    while waiting:
        name = waiting.pop()
        node = producers.get(name)
        if node is None or name in seen:
            continue
        seen.add(name)
        if node.op_type in (*_WEIGHTED, "MatMul"):
            found.add(node.name)
        else:
            waiting += list(node.input)
    return sorted(found)


def convert_network(request: Request) -> bytes:
    """The ONNX file of a network in float32, without metadata."""
    shape = (request.batch, *request.network.image_size, 3)
    signature = [tf.TensorSpec(shape, tf.float32, name=IMAGE)]
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "model.onnx"
        request.network.export(
            path, format="onnx", opset_version=OPSET, input_signature=signature, verbose=False
        )
        return path.read_bytes()


def quantize(data: bytes, request: Request) -> bytes:
    """The ONNX file with Q/DQ nodes around its convolutions and dense layers, except those of the heads.

    Args:
        data: a float32 file without metadata.
        request: has the calibration images.
    """
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    assert request.images is not None
    with tempfile.TemporaryDirectory() as name:
        source, prepared, target = (Path(name) / f"{stage}.onnx" for stage in ("float", "prepared", "int8"))
        source.write_bytes(data)
        quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            str(prepared),
            str(target),
            _Reader(request.images, request.batch),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=_WEIGHTED,
            per_channel=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=_last_weighted_nodes(onnx.load(str(prepared))),
            # TensorRT takes symmetric scales only.
            extra_options={"ActivationSymmetric": True, "WeightSymmetric": True},
        )
        return target.read_bytes()


def add_onnx_metadata(data: bytes, metadata: FileMetadata) -> bytes:
    """The ONNX file with the metadata in its properties, after onnx has checked it."""
    proto = onnx.load_from_string(data)
    onnx.helper.set_model_props(proto, {METADATA_NAME: json.dumps(asdict(metadata))})
    onnx.checker.check_model(proto)
    return bytes(proto.SerializeToString())


class OnnxModel:
    """An ONNX file run by ONNX Runtime, as a predictor.

    Args:
        data: the file.
        threads: threads of the session.
    """

    def __init__(self, data: bytes, threads: int = 0) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        self._session = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        batch, height, width, _ = self._session.get_inputs()[0].shape
        self.batch_size: int = batch
        self.image_size: tuple[int, int] = (height, width)

    def __call__(self, images: Array) -> dict[str, Array]:
        """The contract's outputs for ``(N, H, W, 3)`` images in [0, 255], N at most ``batch_size``."""
        filled = np.zeros((self.batch_size, *images.shape[1:]), np.float32)
        filled[: len(images)] = images
        outputs = self._session.run(list(CONTRACT), {IMAGE: filled})
        return {name: value[: len(images)] for name, value in zip(CONTRACT, outputs, strict=True)}


def onnx_file(data: bytes) -> ExportedFile:
    """``model.onnx`` from a file without metadata, opened by ONNX Runtime."""
    return ExportedFile(
        "model.onnx",
        lambda metadata: add_onnx_metadata(data, metadata),
        lambda path: OnnxModel(path.read_bytes()),
    )
