"""Small multiples: several measures against the severity of each corruption."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure


def severity_figure(panels: Mapping[str, Mapping[str, Sequence[float]]], columns: int = 4) -> Figure:
    """A panel for each corruption, a line for each measure; one that is undefined (nan) is left out.

    Args:
        panels: corruption -> measure -> values in [0, 1] at severity 0, 1, and so on; at least one panel.
        columns: panels beside each other.
    """
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(3.0 * columns, 2.5 * rows + 0.5), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    for one in axes[len(panels) :]:
        one.axis("off")
    for one, (title, lines) in zip(axes, panels.items(), strict=False):
        for place, (name, values) in enumerate(lines.items()):
            if not np.isnan(values).all():
                one.plot(range(len(values)), values, "o-", ms=3, lw=1.3, color=f"C{place}", label=name)
        one.set_title(title, fontsize=9)
        one.set_ylim(-0.02, 1.02)
        one.set_xlabel("severity", fontsize=8)
        one.grid(alpha=0.3)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), fontsize=8)
    return figure
