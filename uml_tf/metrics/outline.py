"""Distances between the outlines of two regions, as MedPy defines them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


@dataclass(frozen=True)
class SurfaceDistances:
    """Distances in pixels, or in the spacing's unit.

    Attributes:
        assd: average symmetric surface distance: mean of both directed distances together.
        hd: Hausdorff distance.
        hd95: 95th percentile of both directed distances together.
    """

    assd: float
    hd: float
    hd95: float


def _outline(mask: NDArray[Any]) -> NDArray[Any]:
    # Beyond the image's edge nothing is known; MedPy takes it as outside, so touching pixels are outline.
    return mask & ~ndimage.binary_erosion(mask, ndimage.generate_binary_structure(mask.ndim, 1))


def _box(truth: NDArray[Any], predicted: NDArray[Any]) -> tuple[slice, ...]:
    """The part of the image that holds both regions; distances are the same inside it, and faster."""
    return tuple(ndimage.find_objects((truth | predicted).astype(np.uint8))[0])


def surface_distances(
    truth: NDArray[Any], predicted: NDArray[Any], spacing: tuple[float, float] | None = None
) -> SurfaceDistances:
    """Outline distances of two boolean ``(H, W)`` masks.

    A region that is there and not found at all gets the image's diagonal, the largest distance possible,
    so that missing it never makes a mean look better.

    Args:
        truth: what is there.
        predicted: what was found.
        spacing: (row, column) pixel size; None for pixels.

    Returns:
        The distances; all nan when the truth is empty.
    """
    if not truth.any():
        return SurfaceDistances(*[float("nan")] * 3)
    step = np.asarray(spacing or (1.0, 1.0), float)
    if not predicted.any():
        return SurfaceDistances(*[float(np.linalg.norm(step * truth.shape))] * 3)
    box = _box(truth, predicted)
    outlines = [_outline(np.pad(mask[box], 1))[1:-1, 1:-1] for mask in (truth, predicted)]
    to_truth, to_predicted = (ndimage.distance_transform_edt(~outline, sampling=step) for outline in outlines)
    of_truth, of_predicted = to_predicted[outlines[0]], to_truth[outlines[1]]
    both = np.concatenate([of_truth, of_predicted])
    return SurfaceDistances(
        assd=float(both.mean()),
        hd=float(both.max()),
        hd95=float(np.percentile(both, 95)),
    )
