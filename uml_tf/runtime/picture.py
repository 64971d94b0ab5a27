"""A picture as it is read from a file: pixels, their size in millimetres, and how its values were mapped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray


@dataclass(frozen=True)
class Picture:
    """An image that was read.

    Attributes:
        pixels: RGB ``(H, W, 3)`` uint8.
        spacing: (row, column) pixel size in millimetres, where the file states it.
        mapped: how its values became 0 to 255; "" for 8-bit values that are taken as they are.
    """

    pixels: NDArray[Any]
    spacing: tuple[float, float] | None = None
    mapped: str = ""
