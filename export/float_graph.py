"""A float TFLite file as a graph whose weights can be read and changed."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uml_tf.export.flatbuffer import CHANNEL_AXIS, head_tensors, operator_name, pack_model, read_model

Array = NDArray[Any]

_WEIGHTS, _BIAS = 1, 2


class FloatGraph:
    """The operators of a file's first subgraph, and what they are connected by.

    Args:
        data: a float file whose tensors have names.

    Attributes:
        operators: in the order of execution.
        tensors: of the subgraph.
        kinds: name of every operator in the schema, e.g. "CONV_2D".
        writers: tensor -> the operator that computes it.
        readers: tensor -> the operators that read it.
        outputs: the tensors that the file returns.
        heads: names of the tensors that the evidential heads compute.
        convolutions: the operators that are convolutions, depthwise ones among them.
        body: the operators that are not of the heads.
    """

    def __init__(self, data: bytes) -> None:
        self._model = read_model(data)
        graph = self._model.subgraphs[0]
        self.operators: list[Any] = graph.operators
        self.tensors: list[Any] = graph.tensors
        self.kinds = [operator_name(self._model, operator) for operator in self.operators]
        self.writers = {int(o.outputs[0]): index for index, o in enumerate(self.operators)}
        self.readers: dict[int, list[int]] = {}
        for index, operator in enumerate(self.operators):
            for tensor in operator.inputs:
                self.readers.setdefault(int(tensor), []).append(index)
        self.outputs = {int(tensor) for tensor in graph.outputs}
        self.heads = frozenset(head_tensors(self._model))
        self.convolutions = [i for i, kind in enumerate(self.kinds) if kind in CHANNEL_AXIS]
        self.body = [i for i in range(len(self.operators)) if self.result_name(i) not in self.heads]

    def result(self, operator: int) -> int:
        """The tensor that an operator computes."""
        return int(self.operators[operator].outputs[0])

    def source(self, operator: int) -> int:
        """The tensor that an operator reads first: of a convolution, its feature."""
        return int(self.operators[operator].inputs[0])

    def shape(self, tensor: int) -> tuple[int, ...]:
        """A tensor's shape."""
        return tuple(int(side) for side in self.tensors[tensor].shape)

    def name(self, tensor: int) -> str:
        """A tensor's name."""
        found: bytes = self.tensors[tensor].name
        return found.decode()

    def result_name(self, operator: int) -> str:
        """Name of the tensor that an operator computes; quantizers know the operator by it."""
        return self.name(self.result(operator))

    def activation(self, operator: int) -> int | None:
        """The operator's fused activation, an ``ActivationFunctionType``; None where it cannot have one."""
        options = self.operators[operator].builtinOptions
        return getattr(options, "fusedActivationFunction", None)

    def constant(self, tensor: int) -> Array | None:
        """The values of a constant float32 tensor; None for one that is computed."""
        found = self.tensors[tensor]
        data = self._model.buffers[found.buffer].data
        return None if data is None else data.view(np.float32).reshape(self.shape(tensor))

    def reads_channels(self, operator: int, tensor: int) -> bool:
        """Whether an operator convolves a feature, and the last axis of its weights counts its channels."""
        if self.kinds[operator] not in CHANNEL_AXIS or self.source(operator) != tensor:
            return False
        return self.weights(operator).shape[-1] == self.shape(tensor)[-1]

    def _given(self, operator: int, place: int) -> Array:
        values = self.constant(int(self.operators[operator].inputs[place]))
        assert values is not None, f"{self.result_name(operator)}: input {place} is not constant"
        return values

    def weights(self, operator: int) -> Array:
        """A convolution's weights: ``(D, kh, kw, C)``, or of a depthwise one ``(1, kh, kw, D)``."""
        return self._given(operator, _WEIGHTS)

    def bias(self, operator: int) -> Array:
        """A convolution's bias ``(D,)``."""
        return self._given(operator, _BIAS)

    def _place(self, operator: int, place: int, values: Array) -> None:
        """Replaces a constant input of one operator; others that shared it keep theirs."""
        graph = self._model.subgraphs[0]
        index = int(self.operators[operator].inputs[place])
        tensor = self.tensors[index]
        alone = self.readers[index] == [operator]
        if not alone or sum(other.buffer == tensor.buffer for other in self.tensors) > 1:
            tensor = copy.copy(tensor)
            tensor.name = f"{self.name(index)}/{operator}".encode()
            self._model.buffers.append(copy.copy(self._model.buffers[tensor.buffer]))
            tensor.buffer = len(self._model.buffers) - 1
            graph.tensors.append(tensor)
            inputs = self.operators[operator].inputs.copy()
            inputs[place] = len(graph.tensors) - 1
            self.operators[operator].inputs = inputs
            self.readers[index] = [reader for reader in self.readers[index] if reader != operator]
            self.readers[len(graph.tensors) - 1] = [operator]
        content = np.ascontiguousarray(values, np.float32).tobytes()
        self._model.buffers[tensor.buffer].data = np.frombuffer(content, np.uint8)

    def set_weights(self, operator: int, values: Array) -> None:
        """Replaces a convolution's weights."""
        self._place(operator, _WEIGHTS, values)

    def set_bias(self, operator: int, values: Array) -> None:
        """Replaces a convolution's bias."""
        self._place(operator, _BIAS, values)

    def multiply_adds(self, operator: int) -> int:
        """Multiplications of a convolution or dense layer for one image; 0 for other operators."""
        kind = self.kinds[operator]
        if kind not in (*CHANNEL_AXIS, "FULLY_CONNECTED"):
            return 0
        weights = self.shape(int(self.operators[operator].inputs[_WEIGHTS]))
        _batch, *rest = self.shape(self.result(operator))
        per_value = np.prod(weights[1:3] if kind == "DEPTHWISE_CONV_2D" else weights[1:])
        return int(np.prod(rest) * per_value)

    def pack(self) -> bytes:
        """The file, with the tensors' names."""
        return pack_model(copy.deepcopy(self._model), names=True)
