"""From a float file to one with an int8 body: equalized, biases corrected, where needed partly in float."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from uml_tf.export.activations import Activations, Sample, channel_ranges, observe
from uml_tf.export.bias_correction import correct_biases
from uml_tf.export.calibration_check import CalibrationCheck
from uml_tf.export.equalization import equalize, streams
from uml_tf.export.float_graph import FloatGraph
from uml_tf.export.int8_recipe import int8_recipe, quantize, uneven_convolutions
from uml_tf.export.kind import Request
from uml_tf.export.mixed_precision import Mixed, choose
from uml_tf.export.tflite import calibration_samples

_FOR_EQUALIZATION = 50
"""Samples that are enough for the ranges of channels; the ranges of tensors are measured on all."""

_FOR_CHECK = 60
_NAMED = 12


@dataclass(frozen=True)
class Int8Body:
    """A quantized file, with what the report says about it.

    Attributes:
        data: the file.
        remarks: sentences.
        numbers: figures.
    """

    data: bytes
    remarks: tuple[str, ...]
    numbers: dict[str, float]


def _spread(samples: Sequence[Sample], count: int) -> list[Sample]:
    places = np.linspace(0, len(samples) - 1, min(count, len(samples))).round().astype(int)
    return [samples[place] for place in places]


def _equalized(data: bytes, request: Request, samples: Sequence[Sample]) -> tuple[bytes, int]:
    graph = FloatGraph(data)
    used = _spread(samples, _FOR_EQUALIZATION)
    tensors = [tensor for stream in streams(graph) for tensor in stream.tensors]
    done = request.stage("measuring channels", len(used))
    count = equalize(graph, channel_ranges(graph, tensors, used, done))
    return graph.pack(), count


def _build(data: bytes, activations: Activations, in_float: frozenset[int]) -> bytes:
    """The quantized file. What stays in float keeps its weights."""
    graph = FloatGraph(data)
    each_channel = uneven_convolutions(graph)
    quantized = {c: patch for c, patch in activations.patches.items() if c not in in_float}
    correct_biases(graph, quantized, each_channel)
    return quantize(graph.pack(), int8_recipe(graph, each_channel, in_float), activations)


def layer_of(name: str) -> str:
    """The layer that computes a tensor, from the tensor's name, e.g. "class_encoder/block_1_expand_BN"."""
    # Operations that became one share a tensor, whose name joins theirs; a folded norm has an empty one.
    joined = [one for one in name.split(";") if one and not one.endswith("/Pad")] or [name]
    parts = [re.sub(r"_\d+$", "", part) for part in joined[-1].split("/")]
    return "/".join([part for part in parts if part not in ("uml", "contract")][:2])


def _remarks(graph: FloatGraph, mixed: Mixed) -> tuple[str, ...]:
    if not mixed.in_float:
        return ()
    weighted = [operator for operator in sorted(mixed.in_float) if graph.multiply_adds(operator)]
    layers = list(dict.fromkeys(layer_of(graph.result_name(operator)) for operator in weighted))
    more = f" and {len(layers) - _NAMED} more" if len(layers) > _NAMED else ""
    broken = ", ".join(check.name for check in mixed.reason)
    return (
        f"Mixed precision: {len(layers)} layers with {100 * mixed.share:.1f} % of the multiply-adds stay in "
        f"float32, because int8 everywhere does not keep {broken} on the calibration images: "
        f"{', '.join(layers[:_NAMED])}{more}.",
    )


def quantize_body(data: bytes, request: Request) -> Int8Body:
    """Quantizes everything but the heads, whose small evidence is below an int8 step.

    Args:
        data: the float file, with its tensors' names; it returns the output contract.
        request: has the calibration images.
    """
    assert request.network.card is not None
    samples = list(calibration_samples(request))
    equalized, scaled = _equalized(data, request, samples)
    graph = FloatGraph(equalized)
    convolutions = sorted(set(graph.convolutions) & set(graph.body))
    done = request.stage("calibrating", len(samples))
    activations = observe(graph, convolutions, samples, done)
    check = CalibrationCheck(data, _spread(samples, _FOR_CHECK), request.network.card, request.tolerance)
    mixed = choose(graph, lambda in_float: _build(equalized, activations, in_float), check, request.stage)
    numbers = {
        "equalized_features": float(scaled),
        "float_operators_of_the_body": float(len(mixed.in_float)),
        "float_share_of_multiply_adds": mixed.share,
    }
    return Int8Body(mixed.data, _remarks(graph, mixed), numbers)
