"""Building and running a TensorRT engine, on machines with the extra ``[tensorrt]`` and a GPU."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from uml_tf.export.kind import IMAGE, Converted, ExportedFile, Request
from uml_tf.runtime.contract import CONTRACT
from uml_tf.runtime.errors import UmlError

Array = NDArray[Any]
Precision = Literal["fp16", "int8"]

ENGINE, ONNX, BUILD_FILE = "model.engine", "model.onnx", "build_engine.txt"


def missing_for_build() -> str | None:
    """The reason why this machine cannot build an engine, or None."""
    if find_spec("tensorrt") is None or find_spec("cuda") is None:
        return "the packages of the extra [tensorrt] are not installed"
    from cuda.bindings import runtime

    error, count = runtime.cudaGetDeviceCount()
    return None if int(error) == 0 and count else "this machine has no GPU"


def build_command(precision: Precision) -> str:
    """The command that builds the engine on the target device, with TensorRT's own tool."""
    # With Q/DQ nodes the file itself says what is int8; the flag --int8 would ask for ranges as well.
    flag = "--fp16" if precision == "fp16" else "--stronglyTyped"
    return f"trtexec --onnx={ONNX} --saveEngine={ENGINE} {flag}"


def build_engine(onnx_file: bytes, precision: Precision) -> bytes:
    """The serialized engine for this machine's GPU.

    Raises:
        UmlError: TensorRT refuses the network.
    """
    import tensorrt as trt

    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    flags = 0
    if precision == "int8":
        flags = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    network = builder.create_network(flags)
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(onnx_file):
        raise UmlError(f"TensorRT: cannot read the network ({parser.get_error(0).desc()})")
    config = builder.create_builder_config()
    if precision == "fp16":
        config.set_flag(trt.BuilderFlag.FP16)
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        raise UmlError("TensorRT: the engine could not be built (see its log)")
    return bytes(engine)


class TensorRTModel:
    """An engine run on the GPU, as a predictor.

    Args:
        engine: the serialized engine.
        image_size: (H, W) of the input.
        batch_size: the fixed batch size.
    """

    def __init__(self, engine: bytes, image_size: tuple[int, int], batch_size: int) -> None:
        import tensorrt as trt

        self.image_size, self.batch_size = image_size, batch_size
        self._engine = trt.Runtime(trt.Logger(trt.Logger.ERROR)).deserialize_cuda_engine(engine)
        self._context = self._engine.create_execution_context()

    def __call__(self, images: Array) -> dict[str, Array]:
        """The contract's outputs for ``(N, H, W, 3)`` images in [0, 255], N at most ``batch_size``."""
        from cuda.bindings import runtime

        filled = np.zeros((self.batch_size, *self.image_size, 3), np.float32)
        filled[: len(images)] = images
        host = {IMAGE: filled}
        for name in CONTRACT:
            host[name] = np.empty(tuple(self._engine.get_tensor_shape(name)), np.float32)
        places = {name: runtime.cudaMalloc(array.nbytes)[1] for name, array in host.items()}
        kinds = runtime.cudaMemcpyKind
        try:
            for name, place in places.items():
                self._context.set_tensor_address(name, int(place))
            runtime.cudaMemcpy(places[IMAGE], filled.ctypes.data, filled.nbytes, kinds.cudaMemcpyHostToDevice)
            self._context.execute_async_v3(0)
            for name in CONTRACT:
                array = host[name]
                runtime.cudaMemcpy(
                    array.ctypes.data, places[name], array.nbytes, kinds.cudaMemcpyDeviceToHost
                )
        finally:
            for place in places.values():
                runtime.cudaFree(place)
        return {name: host[name][: len(images)] for name in CONTRACT}


def engine_or_command(source: bytes, precision: Precision, request: Request) -> Converted:
    """The ONNX file and the engine built from it; where none can be built, the file and the build command.

    Args:
        source: the ONNX file without metadata.
        precision: of the engine.
        request: says image size and batch.
    """
    from uml_tf.export.onnx import onnx_file

    missing = missing_for_build()
    if missing:
        command = build_command(precision)
        deferred = f"no engine was built: {missing}; on the target device run: {command}"
        return Converted((onnx_file(source),), deferred, {BUILD_FILE: command + "\n"})
    engine = build_engine(source, precision)
    size, batch = request.network.image_size, request.batch
    # An engine has no room for metadata; they are in the ONNX file beside it.
    file = ExportedFile(
        ENGINE, lambda metadata: engine, lambda path: TensorRTModel(path.read_bytes(), size, batch)
    )
    return Converted((onnx_file(source), file))
