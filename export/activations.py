"""What a float TFLite file computes on calibration images: ranges, and means of what convolutions read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from ai_edge_litert.schema_py_generated import Padding
from numpy.typing import NDArray

from uml_tf.export.float_graph import FloatGraph
from uml_tf.runtime.device_model import SIGNATURE

Array = NDArray[Any]
Sample = dict[str, Array]
"""The input of the file by its name, one batch."""

Read = Callable[[int], Array]
_THREADS = 2


def _runs(data: bytes, samples: Iterable[Sample], done: Callable[[int], None]) -> Iterator[Read]:
    """Runs the file on every sample; yields what reads a tensor of that run."""
    interpreter = Interpreter(
        model_content=data, num_threads=_THREADS, experimental_preserve_all_tensors=True
    )
    interpreter.allocate_tensors()
    run = interpreter.get_signature_runner(SIGNATURE)
    for number, sample in enumerate(samples, start=1):
        run(**sample)
        yield interpreter.get_tensor
        done(number)


def channel_ranges(
    graph: FloatGraph, tensors: Iterable[int], samples: Iterable[Sample], done: Callable[[int], None]
) -> dict[int, Array]:
    """The largest absolute value of each channel of some tensors.

    Args:
        graph: a file.
        tensors: computed by it, ``(..., C)``.
        samples: calibration images.
        done: called with the number of samples done.

    Returns:
        Tensor -> ``(C,)``.
    """
    wanted = list(tensors)
    found = {tensor: np.zeros(graph.shape(tensor)[-1], np.float32) for tensor in wanted}
    for read in _runs(graph.pack(), samples, done):
        for tensor in wanted:
            values = read(tensor)
            largest = np.abs(values).reshape(-1, values.shape[-1]).max(axis=0)
            found[tensor] = np.maximum(found[tensor], largest)
    return found


@dataclass(frozen=True)
class Window:
    """Which places of a feature each tap of a convolution reads.

    Attributes:
        taps: rows and columns of every tap, as slices.
        positions: places of the result.
    """

    taps: tuple[tuple[slice, slice], ...]
    positions: int


def _along(taps: int, stride: int, dilation: int, size: int, result: int, same: bool) -> list[slice]:
    """Where each tap reads along one axis; the padding, which is zero, is left out."""
    padding = max((result - 1) * stride + (taps - 1) * dilation + 1 - size, 0) // 2 if same else 0
    found = []
    for tap in range(taps):
        places = np.arange(result) * stride + tap * dilation - padding
        inside = places[(places >= 0) & (places < size)]
        found.append(slice(int(inside[0]), int(inside[-1]) + 1, stride) if len(inside) else slice(0, 0))
    return found


def window(graph: FloatGraph, convolution: int) -> Window:
    """The taps of a convolution."""
    options = graph.operators[convolution].builtinOptions
    _, height, width, _ = graph.shape(graph.source(convolution))
    _, rows, columns, _ = graph.shape(graph.result(convolution))
    _, kernel_height, kernel_width, _ = graph.weights(convolution).shape
    same = options.padding == Padding.SAME
    down = _along(kernel_height, options.strideH, options.dilationHFactor, height, rows, same)
    across = _along(kernel_width, options.strideW, options.dilationWFactor, width, columns, same)
    return Window(tuple((row, column) for row in down for column in across), rows * columns)


def _mean_patch(feature: Array, taps: Window) -> Array:
    """Mean over images and places of what each tap reads: ``(taps, C)``."""
    sums = [feature[:, row, column].sum(axis=(0, 1, 2), dtype=np.float64) for row, column in taps.taps]
    return np.stack(sums) / (len(feature) * taps.positions)


@dataclass(frozen=True)
class Activations:
    """What was measured.

    Attributes:
        ranges: name of a tensor -> (smallest, largest) value.
        patches: convolution -> mean of what its taps read, ``(taps, C)``, zero padding included.
    """

    ranges: dict[str, tuple[float, float]]
    patches: dict[int, Array]


def observe(
    graph: FloatGraph,
    convolutions: Iterable[int],
    samples: Iterable[Sample],
    done: Callable[[int], None] = lambda count: None,
) -> Activations:
    """Measures every tensor that the file computes, and its input.

    Args:
        graph: a float file.
        convolutions: those whose inputs' means are needed.
        samples: calibration images, at least one.
        done: called with the number of samples done.
    """
    inputs = [int(t) for operator in graph.operators for t in operator.inputs if int(t) not in graph.writers]
    read_first = [t for t in dict.fromkeys(inputs) if t >= 0 and graph.constant(t) is None]
    lows: dict[int, float] = dict.fromkeys([*read_first, *graph.writers], np.inf)
    highs: dict[int, float] = dict.fromkeys(lows, -np.inf)
    windows = {convolution: window(graph, convolution) for convolution in convolutions}
    patches: dict[int, Array] = {}
    sources: dict[int, list[int]] = {}
    for convolution in windows:
        sources.setdefault(graph.source(convolution), []).append(convolution)
    count = 0
    for count, read in enumerate(_runs(graph.pack(), samples, done), start=1):  # noqa: B007
        for tensor in lows:
            values = read(tensor)
            lows[tensor] = min(lows[tensor], float(values.min()))
            highs[tensor] = max(highs[tensor], float(values.max()))
            for convolution in sources.get(tensor, []):
                mean = _mean_patch(values, windows[convolution])
                patches[convolution] = patches.get(convolution, 0.0) + mean
    ranges = {graph.name(tensor): (lows[tensor], highs[tensor]) for tensor in lows}
    return Activations(ranges, {convolution: total / count for convolution, total in patches.items()})
