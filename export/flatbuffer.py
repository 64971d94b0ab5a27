"""The TFLite file as an object: reading, looking into, and packing it small."""

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
    """Writes equal vectors and strings once and lets every table point at the one.

    A quantized network repeats itself: per-channel zero points are all zero, shapes recur. Constant data
    stays aligned to 16 bytes, as the schema demands and the generated packer forgets.
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
        """The place of what ``write`` writes, written at the first call with this key."""
        if key not in self._written:
            self._written[key] = write()
        return self._written[key]


class _Once:
    """A table that is written once for all its equals; it stands where the table stood.

    Args:
        table: an object of the schema whose fields are numbers, None or arrays.
    """

    def __init__(self, table: Any) -> None:
        self._table = table
        fields = sorted(vars(table).items())
        plain = tuple((n, v.tobytes() if isinstance(v, np.ndarray) else v) for n, v in fields)
        self._key = (type(table).__name__, plain)

    def Pack(self, builder: _SharingBuilder) -> int:  # noqa: N802
        """The table's place in the file."""
        return builder.once(self._key, lambda: int(self._table.Pack(builder)))


def _share_tables(model: Any) -> None:
    """Lets equal operator options and quantizations, and all empty buffers, be written once."""
    for graph in model.subgraphs:
        for operator in graph.operators:
            if operator.builtinOptions is not None:
                operator.builtinOptions = _Once(operator.builtinOptions)
        for tensor in graph.tensors:
            if tensor.quantization is not None and tensor.quantization.details is None:
                tensor.quantization = _Once(tensor.quantization)
            if model.buffers[tensor.buffer].data is None:
                tensor.buffer = 0  # by the schema always the empty one
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
    """The file as a ``schema.ModelT``, with data that lies behind the tables brought into them."""
    model = schema.ModelT.InitFromPackedBuf(data, 0)
    for buffer in model.buffers:
        if buffer.offset > 1:
            buffer.data = np.frombuffer(data, np.uint8, buffer.size, buffer.offset)
            buffer.offset = buffer.size = 0
    return model


def pack_model(model: Any, names: bool) -> bytes:
    """The file of a ``schema.ModelT``, which is used up by it.

    Args:
        model: what to write.
        names: keep the tensors' names. Nothing needs them that runs the file, since signatures go by
            number; other converters and quantizers do, so float files keep them.
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
    """Names of the types that occur, e.g. {"INT8", "INT32"}."""
    return {_TYPE_NAMES[tensor.type] for graph in model.subgraphs for tensor in graph.tensors}


_CHANNEL_AXIS = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3}


def uneven_convolutions(model: Any, ratio: float) -> list[str]:
    """Names of the outputs of convolutions whose channels' float weights differ much in range.

    Args:
        model: a float model.
        ratio: what counts as much: the widest channel's range over the median channel's.
    """
    graph, names = model.subgraphs[0], []
    for operator in graph.operators:
        axis = _CHANNEL_AXIS.get(operator_name(model, operator))
        if axis is None:
            continue
        tensor = graph.tensors[operator.inputs[1]]
        weights = model.buffers[tensor.buffer].data.view(np.float32).reshape(tensor.shape)
        ranges = np.abs(np.moveaxis(weights, axis, 0)).reshape(weights.shape[axis], -1).max(axis=1)
        if ranges.max() > ratio * np.median(ranges):
            names.append(graph.tensors[operator.outputs[0]].name.decode())
    return names


def head_tensors(model: Any) -> list[str]:
    """Names of the tensors that the heads compute: from the last weights of every output to the output.

    These are the logits' own convolution or dense layer and the evidential arithmetic behind it.
    """
    graph = model.subgraphs[0]
    producers = {int(o): operator for operator in graph.operators for o in operator.outputs}
    found: set[int] = set()
    waiting = [int(index) for index in graph.outputs]
    while waiting:
        index = waiting.pop()
        operator = producers.get(index)
        if index in found or operator is None:
            continue
        found.add(index)
        if operator_name(model, operator) not in ("CONV_2D", "FULLY_CONNECTED"):
            waiting += [int(i) for i in operator.inputs if i >= 0]
    return [graph.tensors[index].name.decode() for index in sorted(found)]
