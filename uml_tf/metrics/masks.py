"""What the metrics of regions, masks and pixels read: the truth and the prediction of one image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uml_tf.metrics.outline import SurfaceDistances, surface_distances


@dataclass(frozen=True)
class RegionPair:
    """A region of one image, as it is and as it was predicted; what several metrics need is computed once.

    Attributes:
        truth, predicted: ``(H, W)`` bool.
        spacing: (row, column) pixel size; None for pixels.
    """

    truth: NDArray[Any]
    predicted: NDArray[Any]
    spacing: tuple[float, float] | None = None

    @cached_property
    def true_area(self) -> int:
        """Pixels of the true region."""
        return int(np.count_nonzero(self.truth))

    @cached_property
    def predicted_area(self) -> int:
        """Pixels of the predicted region."""
        return int(np.count_nonzero(self.predicted))

    @cached_property
    def common_area(self) -> int:
        """Pixels that belong to both."""
        return int(np.count_nonzero(self.truth & self.predicted))

    @cached_property
    def surface(self) -> SurfaceDistances:
        """Distances between the two outlines."""
        return surface_distances(self.truth, self.predicted, self.spacing)


@dataclass(frozen=True)
class MaskPair:
    """The whole mask of one image, as it is and as it was predicted.

    Attributes:
        truth, predicted: ``(H, W)`` class indices.
        pixel_classes: names of the classes, in index order.
        regions: name -> pair, for every foreground class and every union of the data set.
    """

    truth: NDArray[Any]
    predicted: NDArray[Any]
    pixel_classes: tuple[str, ...]
    regions: Mapping[str, RegionPair]


@dataclass(frozen=True)
class PixelMaps:
    """The N pixels of one image whose true class is known.

    Attributes:
        confidence: ``(N,)`` of the predicted class, in [0, 1]: the model's, or the class's probability.
        correct: ``(N,)`` bool: whether the predicted class is the true one.
    """

    confidence: NDArray[Any]
    correct: NDArray[Any]
