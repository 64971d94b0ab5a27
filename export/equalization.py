"""Cross-layer equalization: brings the channels of a feature, which one scale holds, to similar ranges.

A feature is quantized with one scale. Where one channel is ten times as wide as another, the narrow one keeps
a tenth of the levels. If the feature is written and read by convolutions only, channel c can be multiplied by
s(c) in the weights that write it and divided by s(c) in those that read it; the network computes the same.

Source: Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV 2019.
There, pairs of layers around a ReLU are balanced by their weights. Here, the bottlenecks of inverted residual
blocks are balanced with all layers along their additions, by ranges measured on calibration images; features
cut off at 6 (ReLU6) stay as they are, because their cut cannot be scaled along with a channel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from ai_edge_litert.schema_py_generated import ActivationFunctionType
from numpy.typing import NDArray

from uml_tf.export.flatbuffer import CHANNEL_AXIS
from uml_tf.export.float_graph import FloatGraph

Array = NDArray[np.float64]

# Activations f with f(s x) = s f(x) for s > 0.
_SCALABLE = (ActivationFunctionType.NONE, ActivationFunctionType.RELU)
_LARGEST_FACTOR = 32.0


@dataclass(frozen=True)
class Stream:
    """Tensors of one shape that additions tie together: what scales a channel of one scales it in all.

    Attributes:
        tensors: the features.
        writers: the convolutions that compute them.
        readers: the convolutions that read them.
    """

    tensors: frozenset[int]
    writers: tuple[int, ...]
    readers: tuple[int, ...]


def _ties(graph: FloatGraph) -> list[set[int]]:
    """The computed tensors, those of one addition in one set."""
    sets = {tensor: {tensor} for tensor in graph.writers}
    for index, kind in enumerate(graph.kinds):
        if kind != "ADD" or graph.activation(index) != ActivationFunctionType.NONE:
            continue
        tied = [int(t) for t in (*graph.operators[index].inputs, *graph.operators[index].outputs)]
        if any(t not in sets or graph.shape(t) != graph.shape(tied[0]) for t in tied):
            continue
        joined = set().union(*(sets[t] for t in tied))
        for tensor in joined:
            sets[tensor] = joined
    return list({id(found): found for found in sets.values()}.values())


def _stream(graph: FloatGraph, tensors: set[int]) -> Stream | None:
    """The tensors as a stream; None where something cannot take a factor for each channel."""
    writers, readers = [], []
    for tensor in sorted(tensors):
        if tensor in graph.outputs:
            return None
        writer = graph.writers[tensor]
        if graph.kinds[writer] in CHANNEL_AXIS and graph.activation(writer) in _SCALABLE:
            writers.append(writer)
        elif graph.kinds[writer] != "ADD" or len(tensors) == 1:
            return None
        for reader in graph.readers.get(tensor, []):
            if graph.reads_channels(reader, tensor):
                readers.append(reader)
            elif graph.kinds[reader] != "ADD" or graph.result(reader) not in tensors:
                return None
    return Stream(frozenset(tensors), tuple(writers), tuple(readers)) if writers and readers else None


def streams(graph: FloatGraph) -> list[Stream]:
    """Every set of features that only convolutions write and read, additions between them aside."""
    found = (_stream(graph, tensors) for tensors in _ties(graph))
    return [stream for stream in found if stream]


def _reading(graph: FloatGraph, stream: Stream) -> Array:
    """The largest weight of each channel in the layers that read it, over each output's largest weight.

    A depthwise layer does not count: with a scale for each channel, its weights lose nothing.
    """
    largest = np.zeros(graph.shape(next(iter(stream.tensors)))[-1])
    for reader in stream.readers:
        if graph.kinds[reader] == "CONV_2D":
            weights = np.abs(graph.weights(reader)).astype(np.float64)
            rows = weights.max(axis=(1, 2, 3), keepdims=True)
            share = np.divide(weights, rows, out=np.zeros_like(weights), where=rows > 0)
            largest = np.maximum(largest, share.max(axis=(0, 1, 2)))
    return np.where(largest > 0, largest, 1.0)


def _factors(ranges: Array, reading: Array) -> Array:
    """What each channel is multiplied by, 1 in the middle.

    Half way, in logarithms, between equal ranges of the feature and equal weights of its readers.
    """
    used = ranges > 1e-6 * ranges.max()
    factors = np.sqrt(reading / np.where(used, ranges, 1.0))
    factors = factors / np.median(factors[used])
    return np.where(used, np.clip(factors, 1 / _LARGEST_FACTOR, _LARGEST_FACTOR), 1.0)


def equalize(graph: FloatGraph, ranges: Mapping[int, Array]) -> int:
    """Scales the channels of every stream; the network computes the same up to float32's rounding.

    Args:
        graph: changed in place.
        ranges: tensor -> the largest absolute value ``(C,)`` of each channel on calibration images, for the
            tensors of ``streams(graph)``.

    Returns:
        Number of streams that were scaled.
    """
    scaled = 0
    for stream in streams(graph):
        largest = np.max([ranges[tensor] for tensor in stream.tensors], axis=0).astype(np.float64)
        if not largest.any():
            continue
        factors = _factors(largest, _reading(graph, stream))
        for writer in stream.writers:
            shape = [1, 1, 1, 1]
            shape[CHANNEL_AXIS[graph.kinds[writer]]] = -1
            graph.set_weights(writer, graph.weights(writer) * factors.reshape(shape))
            graph.set_bias(writer, graph.bias(writer) * factors)
        for reader in stream.readers:
            graph.set_weights(reader, graph.weights(reader) / factors)
        scaled += 1
    return scaled
