"""Figures for a page: SVG whose text and axes have the colour of the text around it, in light and in dark."""

from __future__ import annotations

import io
import re
from collections.abc import Callable

from matplotlib import rc_context
from matplotlib.figure import Figure

_INK = "#0a0b0c"
"""A colour that no plot uses; the page's own takes its place."""

_STYLE = {
    **{
        key: _INK
        for key in ("text.color", "axes.edgecolor", "axes.labelcolor", "axes.titlecolor", "xtick.color")
    },
    "ytick.color": _INK,
    "grid.color": _INK,
    "legend.labelcolor": _INK,
    "legend.framealpha": 0.0,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "font.family": "sans-serif",
    "svg.fonttype": "none",
    # Told apart in light and dark, and with every kind of colour vision.
    "axes.prop_cycle": "cycler('color', ['#1f83c4', '#d9771f', '#0f9d76', '#b65fa0', '#8a8f2a', '#7a7fd0'])",
}


def as_svg(name: str, draw: Callable[[], Figure], label: str) -> str:
    """A figure as an SVG element for a page.

    Args:
        name: distinguishes its internal names from those of the page's other figures.
        draw: makes the figure.
        label: what is read out in place of the picture.
    """
    buffer = io.StringIO()
    with rc_context({**_STYLE, "svg.hashsalt": name}):
        draw().savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Type": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", text)
    text = text.replace(_INK, "currentColor").replace("DejaVu Sans", "inherit")
    return text.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)
