"""Mixed precision: which operators stay in float where the tolerances do not allow int8 everywhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from uml_tf.export.calibration_check import CalibrationCheck
from uml_tf.export.float_graph import FloatGraph
from uml_tf.export.kind import Stage
from uml_tf.export.tolerance import Check

MOST_IN_FLOAT = 0.3
"""Largest share of the body's multiply-adds that may stay in float.

A tenth was not enough for pretrained encoders on BUSI at 192 pixels: it left .0101 of the class uncertainty's
difference, a fifth left .0055 to .0091 and three tenths .0043, of .0126 in int8 everywhere.
"""

_STEPS = (1 / 12, 1 / 6, 1 / 3, 2 / 3, 1.0)
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


def _concerned(broken: Sequence[Check]) -> tuple[str, ...]:
    """Whose error must fall: "class" and "mask", or one of them. What is accepted hangs on the class."""
    mask = tuple("mask" for check in broken if check.name.startswith("mask_"))
    others = tuple("class" for check in broken if not check.name.startswith("mask_"))
    return tuple(dict.fromkeys(others + mask))


def choose(graph: FloatGraph, build: Build, check: CalibrationCheck, stage: Stage) -> Mixed:
    """Int8 everywhere, if that keeps the tolerances on calibration images; otherwise some parts in float.

    A part's error, of the outputs whose tolerance is broken, is measured with nothing but it in int8. Parts
    with the largest error for their multiply-adds stay in float first, in growing shares up to the largest.

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
    errors, concerned = {}, _concerned(broken)
    for number, block in enumerate(parts, start=1):
        found = check.errors(build(body - frozenset(block)))
        errors[block] = sum(found[part] for part in concerned)
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
