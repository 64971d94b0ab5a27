"""Writing figures."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from uml_tf.runtime.files import replacing


def save_figure(figure: Figure, path: Path, dpi: int = 130) -> None:
    """Writes a figure as PNG, atomically."""
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=dpi, format="png")
