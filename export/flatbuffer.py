"""TFLite files as objects: reading, inspecting, and packing without repetition.

``pack_model`` writes the int8 edge network in 366.7 kB, where the packer of the schema's generated classes
needs 406.8 kB for the same content; the weights themselves are 343.0 kB (``python benchmarks/packing.py``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

FILE_IDENTIFIER = b"TFL3"
_ALIGNMENT = 16
_OPERATOR_NAMES = {v: k for k, v in vars(schema.BuiltinOperator).items() if isinstance(v, int)}
_TYPE_NAMES = {v: k for k, v in vars(schema.TensorType).items() if isinstance(v, int)}


class _SharingBuilder(flatbuffers.Builder):
    """Writes equal vectors and strings once; every table that has them points to the same place.

    A quantized network has many equal parts: per-channel zero points are all zero, shapes recur. Constant
    data are aligned to 16 bytes, as the schema demands; the generated packer does not align them.
    """

    def __init__(self) -> None:
        super().__init__(1 << 20)
        self._written: dict[Any, int] = {}

    def CreateNumpyVector(self, x: NDArray[Any]) -> int:  # noqa: N802
        plain = super().CreateNumpyVector
        return self.once(
            (x.dtype.str, x.tobytes()), lambda: self._bytes(x) if x.dtype == np.uint8 else int(plain(x))
        )

    def _bytes(self, x: NDArray[Any]) -> int:
        self.StartVector(1, x.size, _ALIGNMENT)
        self.head -= x.size
        self.Bytes[self.head : self.head + x.size] = x.tobytes()
        return int(self.EndVector())

    def CreateString(self, s: Any, *arguments: Any, **options: Any) -> int:  # noqa: N802
        plain = super().CreateString
        return self.once(s, lambda: int(plain(s, *arguments, **options)))

    def once(self, key: Any, write: Callable[[], int]) -> int:
        """The offset at which ``write`` wrote; it is called only the first time that a key is given."""
        if key not in self._written:
            self._written[key] = write()
        return self._written[key]


class _Once:
    """Takes the place of a table so that equal tables are written once.

    Args:
        table: an object of the schema whose fields are numbers, None or arrays.
    """

    def __init__(self, table: Any) -> None:
        self._table = table
        fields = sorted(vars(table).items())
        plain = tuple((n, v.tobytes() if isinstance(v, np.ndarray) else v) for n, v in fields)
        self._key = (type(table).__name__, plain)

    def Pack(self, builder: _SharingBuilder) -> int:  # noqa: N802
        """The table's offset in the file."""
        return builder.once(self._key, lambda: int(self._table.Pack(builder)))


def _share_tables(model: Any) -> None:
    """Makes equal operator options, equal quantizations and all empty buffers be written once."""
    for graph in model.subgraphs:
        for operator in graph.operators:
            if operator.builtinOptions is not None:
                operator.builtinOptions = _Once(operator.builtinOptions)
        for tensor in graph.tensors:
            if tensor.quantization is not None and tensor.quantization.details is None:
                tensor.quantization = _Once(tensor.quantization)
            if model.buffers[tensor.buffer].data is None:
                tensor.buffer = 0  # the schema keeps buffer 0 empty
    used = sorted({0, *(t.buffer for g in model.subgraphs for t in g.tensors), *_metadata_buffers(model)})
    places = {old: new for new, old in enumerate(used)}
    model.buffers = [model.buffers[old] for old in used]
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            tensor.buffer = places[tensor.buffer]
    for entry in model.metadata or []:
        entry.buffer = places[entry.buffer]


def _metadata_buffers(model: Any) -> list[int]:
    return [entry.buffer for entry in model.metadata or []]


def read_model(data: bytes) -> Any:
    """The file as a ``schema.ModelT``; data that are stored behind the tables are moved into them."""
    model = schema.ModelT.InitFromPackedBuf(data, 0)
    for buffer in model.buffers:
        if buffer.offset > 1:
            buffer.data = np.frombuffer(data, np.uint8, buffer.size, buffer.offset)
            buffer.offset = buffer.size = 0
    return model


def pack_model(model: Any, names: bool) -> bytes:
    """The file of a ``schema.ModelT``; the object cannot be used afterwards.

    Args:
        model: what to write.
        names: keep the tensors' names. Running the file needs no names, since signatures refer to tensors by
            number; other converters and quantizers need them.
    """
    if not names:
        for graph in model.subgraphs:
            for tensor in graph.tensors:
                tensor.name = None
    _share_tables(model)
    builder = _SharingBuilder()
    builder.Finish(model.Pack(builder), file_identifier=FILE_IDENTIFIER)
    return bytes(builder.Output())


def operator_name(model: Any, operator: Any) -> str:
    """The operator's name in the schema, e.g. "CONV_2D"."""
    return _OPERATOR_NAMES[model.operatorCodes[operator.opcodeIndex].builtinCode]


def operator_counts(model: Any) -> dict[str, int]:
    """Operator name -> how many."""
    counts: dict[str, int] = {}
    for graph in model.subgraphs:
        for operator in graph.operators:
            name = operator_name(model, operator)
            counts[name] = counts.get(name, 0) + 1
    return counts


def tensor_types(model: Any) -> set[str]:
    """Names of the tensors' types, e.g. {"INT8", "INT32"}."""
    return {_TYPE_NAMES[tensor.type] for graph in model.subgraphs for tensor in graph.tensors}


CHANNEL_AXIS = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3}
"""Kind of convolution -> the axis of its weights that counts output channels."""


_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


def _weighted(model: Any, producers: dict[int, Any], tensor: int) -> bool:
    """Whether a tensor follows from a convolution or a dense layer."""
    seen: set[int] = set()
    waiting = [tensor]
    while waiting:
        operator = producers.get(waiting.pop())
        if operator is None:
            continue
        if operator_name(model, operator) in _WEIGHTED:
            return True
        inputs = {int(i) for i in operator.inputs if i >= 0} - seen
        seen |= inputs
        waiting += sorted(inputs)
    return False


def head_tensors(model: Any) -> list[str]:
    """Names of the tensors that the heads compute.

    These are, for every output, the result of the last convolution or dense layer before it, which gives the
    logits, and of the evidential arithmetic that follows. The arithmetic of a head that no output reads, such
    as the mutual head where another head draws the mask, is found by its inverse root of the strength. Global
    means of features are taken in float of what the body computes; those that follow from the image alone, as
    its sharpness, are of the heads as a whole.
    """
    graph = model.subgraphs[0]
    producers = {int(o): operator for operator in graph.operators for o in operator.outputs}
    found: set[int] = set()
    roots = [o for o in graph.operators if operator_name(model, o) == "RSQRT"]
    waiting = [int(index) for index in (*graph.outputs, *(o.outputs[0] for o in roots))]
    while waiting:
        index = waiting.pop()
        operator = producers.get(index)
        if index in found or operator is None:
            continue
        found.add(index)
        kind = operator_name(model, operator)
        of_body = kind == "MEAN" and _weighted(model, producers, index)
        if kind not in _WEIGHTED and not of_body:
            waiting += [int(i) for i in operator.inputs if i >= 0]
    return [graph.tensors[index].name.decode() for index in sorted(found)]
