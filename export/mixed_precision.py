"""Mixed precision: which operators stay in float where the tolerances do not allow int8 everywhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from uml_tf.export.calibration_check import CalibrationCheck
from uml_tf.export.float_graph import FloatGraph
from uml_tf.export.kind import Stage
from uml_tf.export.tolerance import Check

MOST_IN_FLOAT = 0.1
"""Largest share of the body's multiply-adds that may stay in float."""

_STEPS = (0.25, 0.5, 1.0)
"""Parts of that share that are tried."""

_BLOCK_SHARE = 0.02
_BLOCK_OPERATORS = 12

Build = Callable[[frozenset[int]], bytes]
"""From the operators that stay in float to the quantized file."""


@dataclass(frozen=True)
class Mixed:
    """A quantized file.

    Attributes:
        data: the file.
        in_float: operators of the body that stay in float.
        share: of the body's multiply-adds that these have.
        reason: what a file without them breaks on the calibration images.
    """

    data: bytes
    in_float: frozenset[int] = frozenset()
    share: float = 0.0
    reason: tuple[Check, ...] = ()


def blocks(graph: FloatGraph) -> list[tuple[int, ...]]:
    """The body cut into runs of operators, each of a fiftieth of the multiply-adds or of one operator."""
    total = sum(graph.multiply_adds(operator) for operator in graph.body)
    found: list[list[int]] = []
    cost = 0.0
    for operator in graph.body:
        own = graph.multiply_adds(operator) / total
        if not found or (own and cost + own > _BLOCK_SHARE) or len(found[-1]) == _BLOCK_OPERATORS:
            found.append([])
            cost = 0.0
        found[-1].append(operator)
        cost += own
    return [tuple(block) for block in found]


def _within(
    order: Sequence[tuple[int, ...]], costs: Mapping[tuple[int, ...], float], most: float
) -> frozenset[int]:
    """Operators of the first blocks, skipping those that do not fit any more."""
    chosen: list[int] = []
    used = 0.0
    for block in order:
        if used + costs[block] <= most:
            chosen += block
            used += costs[block]
    return frozenset(chosen)


def choose(graph: FloatGraph, build: Build, check: CalibrationCheck, stage: Stage) -> Mixed:
    """Int8 everywhere, if that keeps the tolerances on calibration images; otherwise some parts in float.

    A part's error is measured with nothing but it in int8. Parts with the largest error for their
    multiply-adds stay in float first: a quarter of the largest share, half, or all of it.

    Args:
        graph: the float file.
        build: makes quantized files of it.
        check: compares them.
        stage: shows progress.
    """
    plain = build(frozenset())
    broken = tuple(check.broken(plain))
    if not broken:
        return Mixed(plain)
    body, parts = frozenset(graph.body), blocks(graph)
    total = sum(graph.multiply_adds(operator) for operator in body)
    costs = {block: sum(graph.multiply_adds(o) for o in block) / total for block in parts}
    done = stage("measuring the error of each part in int8", len(parts))
    errors = {}
    for number, block in enumerate(parts, start=1):
        errors[block] = check.error(build(body - frozenset(block)))
        done(number)
    order = sorted(parts, key=lambda block: errors[block] / (costs[block] + 1e-3), reverse=True)
    mixed = Mixed(plain)
    for step in _STEPS:
        in_float = _within(order, costs, step * MOST_IN_FLOAT)
        share = sum(graph.multiply_adds(operator) for operator in in_float) / total
        mixed = Mixed(build(in_float), in_float, share, broken)
        if not check.broken(mixed.data):
            break
    return mixed
