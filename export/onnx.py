"""From a Keras network to ONNX, in float32 or with explicit Q/DQ for TensorRT, and running it."""

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

from uml_tf.networks import UML
from uml_tf.runtime.contract import CONTRACT
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.metadata import METADATA_NAME, FileMetadata

Array = NDArray[Any]

IMAGE = "image"
OPSET = 18
_WEIGHTED = ["Conv", "Gemm"]


class _Reader:
    """Feeds the calibration images one batch at a time, as onnxruntime's quantizer asks for them."""

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
    """Names of the heads' own convolutions and dense layers: the last weights before every output."""
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


def _quantize(source: Path, target: Path, images: Array, batch: int) -> None:
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = source.with_name("prepared.onnx")
    quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
    quantize_static(
        str(prepared),
        str(target),
        _Reader(images, batch),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=_WEIGHTED,
        per_channel=True,
        activation_type=QuantType.QInt8,
        weight_type=QuantType.QInt8,
        nodes_to_exclude=_last_weighted_nodes(onnx.load(str(prepared))),
        # TensorRT takes symmetric scales only.
        extra_options={"ActivationSymmetric": True, "WeightSymmetric": True},
    )


def convert_onnx(model: UML, quantize: str, batch: int, images: Array | None) -> bytes:
    """The ONNX file, without metadata.

    Args:
        model: the network.
        quantize: "none", or "int8" for explicit Q/DQ nodes.
        batch: the fixed batch size.
        images: ``(N, H, W, 3)`` in [0, 255] of the training set, for int8.

    Raises:
        UmlError: the conversion failed.
    """
    if quantize not in ("none", "int8"):
        raise UmlError(f"--onnx --quantize {quantize}: expected none or int8")
    signature = [tf.TensorSpec((batch, *model.image_size, 3), tf.float32, name=IMAGE)]
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "model.onnx"
        try:
            model.export(path, format="onnx", opset_version=OPSET, input_signature=signature, verbose=False)
            if quantize == "int8":
                assert images is not None
                _quantize(path, path.with_name("int8.onnx"), images, batch)
                path = path.with_name("int8.onnx")
        except (ValueError, RuntimeError, tf.errors.OpError) as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise UmlError(f"export onnx: the conversion failed ({reason[:200]})") from error
        return path.read_bytes()


def add_onnx_metadata(data: bytes, metadata: FileMetadata) -> bytes:
    """The ONNX file with the metadata in its properties, checked by onnx."""
    proto = onnx.load_from_string(data)
    onnx.helper.set_model_props(proto, {METADATA_NAME: json.dumps(asdict(metadata))})
    onnx.checker.check_model(proto)
    return bytes(proto.SerializeToString())


class OnnxModel:
    """An ONNX file run by onnxruntime, as a source of answers.

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
        """The contract's answers to ``(N, H, W, 3)`` images in [0, 255], N at most ``batch_size``."""
        filled = np.zeros((self.batch_size, *images.shape[1:]), np.float32)
        filled[: len(images)] = images
        answers = self._session.run(list(CONTRACT), {IMAGE: filled})
        return {name: value[: len(images)] for name, value in zip(CONTRACT, answers, strict=True)}
