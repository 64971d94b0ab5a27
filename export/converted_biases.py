"""Bias correction of a file that TensorFlow's converter has quantized."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uml_tf.export.bias_correction import mean_result
from uml_tf.export.flatbuffer import CHANNEL_AXIS, operator_name, pack_model, read_model
from uml_tf.export.float_graph import FloatGraph

Array = NDArray[Any]

_WEIGHTS, _BIAS = 1, 2


def _values(model: Any, tensor: Any, kind: Any) -> Array:
    return np.asarray(
        model.buffers[tensor.buffer].data.view(kind).reshape([int(side) for side in tensor.shape])
    )


def _set_bias(model: Any, operator: Any, steps: Array) -> None:
    """Gives an operator a bias of its own."""
    graph = model.subgraphs[0]
    place = operator.inputs[_BIAS]
    tensor = graph.tensors[place]
    alone = sum(int((other.inputs == place).sum()) for other in graph.operators) == 1
    if not alone:
        tensor = copy.copy(tensor)
        graph.tensors.append(tensor)
        inputs = operator.inputs.copy()
        inputs[_BIAS] = len(graph.tensors) - 1
        operator.inputs = inputs
    buffer = copy.copy(model.buffers[tensor.buffer])
    buffer.data = np.frombuffer(steps.astype(np.int32).tobytes(), np.uint8)
    model.buffers.append(buffer)
    tensor.buffer = len(model.buffers) - 1


def correct_converted_biases(
    data: bytes, graph: FloatGraph, patches: Mapping[int, Array]
) -> tuple[bytes, int]:
    """Takes back what the rounding of the weights adds to the mean of each convolution's result.

    Args:
        data: the quantized file, with its tensors' names.
        graph: the float file of the same network.
        patches: convolution of the float file -> mean of what its taps read, ``(taps, C)``.

    Returns:
        The file, and how many convolutions were corrected: those that the float file has under the same name.
    """
    model = read_model(data)
    tensors = model.subgraphs[0].tensors
    known = {graph.result_name(convolution): convolution for convolution in patches}
    corrected = 0
    for operator in model.subgraphs[0].operators:
        kind = operator_name(model, operator)
        convolution = known.get(tensors[operator.outputs[0]].name.decode())
        if kind not in CHANNEL_AXIS or convolution is None or graph.kinds[convolution] != kind:
            continue
        weights = tensors[operator.inputs[_WEIGHTS]]
        shape = [1, 1, 1, 1]
        shape[CHANNEL_AXIS[kind]] = -1
        scales = np.asarray(weights.quantization.scale, np.float64)
        held = _values(model, weights, np.int8) * scales.reshape(shape)
        wanted = graph.weights(convolution).astype(np.float64)
        moved = mean_result(held - wanted, patches[convolution], kind == "DEPTHWISE_CONV_2D")
        step = scales * float(tensors[operator.inputs[0]].quantization.scale[0])
        limits = np.iinfo(np.int32)
        steps = np.clip(np.rint((graph.bias(convolution) - moved) / step), limits.min, limits.max)
        _set_bias(model, operator, steps)
        corrected += 1
    return pack_model(model, names=True), corrected
