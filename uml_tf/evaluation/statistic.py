"""Metrics that are computed from the same images, for any number of resamples of these."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Statistic(NamedTuple):
    """Metrics that are computed from the same images.

    Attributes:
        names: of the metrics.
        images: places of these images among the measures.
        values: from ``(D, N)`` of any type, how often each of N ``images`` was drawn in each of D resamples,
            to ``(D, M)`` metrics; nan where one is undefined.
    """

    names: tuple[str, ...]
    images: tuple[int, ...]
    values: Callable[[Array], Array]

    @property
    def of_all_images(self) -> dict[str, float]:
        """Metric -> its value over all of these images; empty without an image."""
        if not self.images:
            return {}
        (values,) = self.values(np.ones((1, len(self.images)), np.uint8))
        return dict(zip(self.names, values.tolist(), strict=True))
