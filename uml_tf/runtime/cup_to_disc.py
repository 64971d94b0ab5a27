"""The vertical cup-to-disc ratio, by which glaucoma is judged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def vertical_cup_to_disc_ratio(mask: NDArray[Any], pixel_classes: Sequence[str]) -> float | None:
    """Height of the cup over height of the disc (rim and cup together), in [0, 1].

    Args:
        mask: ``(H, W)`` class indices.
        pixel_classes: names of the classes; the ratio needs "cup" and "rim".

    Returns:
        The ratio; 0.0 for a disc without a cup; None when no disc was found or the classes do not exist.
    """
    names = list(pixel_classes)
    if "cup" not in names or "rim" not in names:
        return None
    cup = mask == names.index("cup")
    disc_rows = np.flatnonzero((cup | (mask == names.index("rim"))).any(axis=1))
    if disc_rows.size == 0:
        return None
    cup_rows = np.flatnonzero(cup.any(axis=1))
    if cup_rows.size == 0:
        return 0.0
    return float((cup_rows[-1] - cup_rows[0] + 1) / (disc_rows[-1] - disc_rows[0] + 1))
