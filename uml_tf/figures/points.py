"""Small multiples: named points with intervals, over a quantity that grows by factors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from uml_tf.figures.intervals import Interval


@dataclass(frozen=True)
class Point:
    """A point of a panel.

    Attributes:
        name: written beside it.
        place: where it lies, above 0.
        value: with its interval; None where it is undefined.
        repeats: single values, drawn as small dots.
    """

    name: str
    place: float
    value: Interval | None
    repeats: Sequence[float]


def point_figure(panels: Sequence[tuple[str, Sequence[Point]]], across: str, columns: int = 3) -> Figure:
    """A panel for each quantity, with the places on a logarithmic axis.

    Args:
        panels: title and points of each, at least one panel.
        across: what the places are.
        columns: panels beside each other.
    """
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(3.8 * columns, 2.8 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for one in axes[len(panels) :]:
        one.axis("off")
    for one, (title, points) in zip(axes, panels, strict=False):
        one.set_xscale("log")
        for number, point in enumerate(points):
            colour = f"C{number % 10}"
            one.plot([point.place] * len(point.repeats), point.repeats, ".", color=colour, ms=4, alpha=0.6)
            if point.value is not None:
                value, low, high = point.value
                one.plot([point.place] * 2, [low, high], color=colour, lw=2, solid_capstyle="butt")
                one.plot([point.place], [value], "o", color=colour, ms=6)
                one.annotate(
                    point.name,
                    (point.place, value),
                    (7, 0),
                    textcoords="offset points",
                    va="center",
                    fontsize=8,
                )
        places = sorted({point.place for point in points})
        one.set_xticks(places, [f"{place:.0f}" for place in places])
        one.xaxis.set_minor_locator(NullLocator())
        one.set_xlim(places[0] / 1.25, places[-1] * 1.6)
        one.set_title(title, fontsize=9)
        one.set_xlabel(across, fontsize=8)
        one.grid(alpha=0.3)
    return figure
