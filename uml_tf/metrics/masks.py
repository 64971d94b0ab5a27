"""What the metrics of regions, masks and pixels read: the truth and the prediction of one image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uml_tf.metrics.outline import SurfaceDistances, surface_distances
from uml_tf.runtime.regions import ANY_REGION_PIXEL, UNKNOWN_PIXEL, class_is_known


@dataclass(frozen=True)
class RegionPair:
    """A region of one image, as it is and as it was predicted; what several metrics need is computed once.

    Attributes:
        truth, predicted: ``(H, W)`` bool.
        spacing: (row, column) pixel size; None for pixels.
        told: whether the mask tells the region. Where it does not, ``truth`` is empty, and no metric of the
            region is measured.
    """

    truth: NDArray[Any]
    predicted: NDArray[Any]
    spacing: tuple[float, float] | None = None
    told: bool = True

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


def region_pair(
    truth: NDArray[Any],
    predicted: NDArray[Any],
    members: Sequence[int],
    classes: int,
    spacing: tuple[float, float] | None = None,
) -> RegionPair:
    """A region of a true and a predicted mask.

    Pixels that are not known lie outside both. ``ANY_REGION_PIXEL`` is in a region that unites all foreground
    classes, and not known for any other: a mask that has such pixels, and none that is surely of the region,
    does not tell it.

    Args:
        truth: ``(H, W)`` class indices, and the reserved values of ``uml_tf.runtime.regions``.
        predicted: ``(H, W)`` class indices.
        members: class indices of the region.
        classes: number of pixel classes, background included.
        spacing: (row, column) pixel size; None for pixels.
    """
    true = np.isin(truth, members)
    some = truth == ANY_REGION_PIXEL
    if set(members) == set(range(1, classes)):
        return RegionPair(true | some, np.isin(predicted, members) & (truth != UNKNOWN_PIXEL), spacing)
    found = np.isin(predicted, members) & class_is_known(truth)
    return RegionPair(true, found, spacing, told=bool(true.any() or not some.any()))


@dataclass(frozen=True)
class MaskPair:
    """The whole mask of one image, as it is and as it was predicted.

    Attributes:
        truth, predicted: ``(H, W)`` class indices; both 0 where the true class is not known.
        pixel_classes: names of the classes, in index order.
        regions: name -> pair, for every foreground class and every union of the data set.
    """

    truth: NDArray[Any]
    predicted: NDArray[Any]
    pixel_classes: tuple[str, ...]
    regions: Mapping[str, RegionPair]

    @property
    def told(self) -> bool:
        """Whether the true mask tells every region."""
        return all(pair.told for pair in self.regions.values())


@dataclass(frozen=True)
class PixelMaps:
    """The N pixels of one image whose true class is known.

    Attributes:
        confidence: ``(N,)`` of the predicted class, in [0, 1]: the model's, or the class's probability.
        correct: ``(N,)`` bool: whether the predicted class is the true one.
    """

    confidence: NDArray[Any]
    correct: NDArray[Any]
