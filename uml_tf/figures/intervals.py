"""Dots with intervals: what several groups reach, and how they differ from the first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

Interval = tuple[float, float, float]
"""Value, lower end, upper end."""


@dataclass(frozen=True)
class IntervalGroup:
    """A line of an ``IntervalRow``.

    Attributes:
        name: of the group.
        value: with its interval; None where it is undefined.
        repeats: single values, drawn as small dots.
        difference: to the first group, with its interval; None where there is none.
    """

    name: str
    value: Interval | None
    repeats: Sequence[float]
    difference: Interval | None


@dataclass(frozen=True)
class IntervalRow:
    """The two panels of one quantity.

    Attributes:
        title: the quantity, with the direction that is better.
        groups: from top to bottom.
    """

    title: str
    groups: Sequence[IntervalGroup]


def _draw(axes: Any, place: int, interval: Interval | None, colour: str) -> None:
    if interval is None:
        return
    value, low, high = interval
    axes.plot([low, high], [place, place], color=colour, lw=2, solid_capstyle="butt")
    axes.plot([value], [place], "o", color=colour, ms=6)


def _label(axes: Any, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(axis="x", alpha=0.3)


def interval_figure(rows: Sequence[IntervalRow], first: str) -> Figure:
    """Two panels for each quantity: the values with their intervals, and the differences to the first group.

    Args:
        rows: the quantities, at least one.
        first: name of the group that the others are compared with.
    """
    height = max(1.2, 0.5 + 0.35 * len(rows[0].groups))
    figure = Figure(figsize=(11, 0.6 + height * len(rows)), layout="constrained")
    panels = figure.subplots(len(rows), 2, squeeze=False)
    for (left, right), row in zip(panels, rows, strict=True):
        for place, group in enumerate(row.groups):
            colour = f"C{place % 10}"
            _draw(left, place, group.value, colour)
            left.plot(group.repeats, [place + 0.18] * len(group.repeats), ".", color=colour, ms=4, alpha=0.6)
            _draw(right, place, group.difference, colour)
        right.axvline(0, color="grey", ls=":")
        for axes in (left, right):
            _label(axes, [group.name for group in row.groups])
        left.set_title(row.title, fontsize=9)
        right.set_title(f"difference to {first}", fontsize=9)
    return figure
