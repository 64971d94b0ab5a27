"""Gradability: whether an image is of the kind that the network was trained on.

The evidential uncertainty does not tell: a network can find evidence in a black frame. So the statistics of
the image itself are compared with those of the training images.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

STATISTICS = ("brightness", "contrast", "redness", "blueness", "sharpness", "edge strength")
"""What is compared: the mean and standard deviation of the grey value, the mean of red minus green and of
blue minus green, the logarithm of the mean absolute Laplacian and of the mean absolute gradient of the grey
value."""

_SMALLEST_DEVIATION = 0.01
_FLAT = 1e-3
_MARGIN = 0.01
"""How far the limit lies above the largest score where no score lies above it, as a share of it."""


def image_statistics(image: NDArray[Any]) -> NDArray[np.float64]:
    """``STATISTICS``, ``(6,)``, of an RGB image ``(H, W, 3)`` in [0, 255] as a network reads it, unpadded."""
    scaled = image.astype(np.float64) / 255
    grey = scaled.mean(axis=-1)
    red, green, blue = scaled.mean(axis=(0, 1))
    inner = grey[1:-1, 1:-1]
    laplacian = 4 * inner - grey[:-2, 1:-1] - grey[2:, 1:-1] - grey[1:-1, :-2] - grey[1:-1, 2:]
    gradient = np.abs(np.diff(grey, axis=0)).mean() + np.abs(np.diff(grey, axis=1)).mean()
    logarithms = np.log([np.abs(laplacian).mean() + _FLAT, gradient + _FLAT])
    return np.array([grey.mean(), grey.std(), red - green, blue - green, *logarithms])


@dataclass(frozen=True)
class Gradability:
    """The statistics of the training images, and how far from them an image may lie.

    Attributes:
        mean, deviation: per statistic, over the training images.
        limit: the out-of-distribution score above which an image is ungradable.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    limit: float

    def score(self, image: NDArray[Any]) -> tuple[float, str]:
        """The out-of-distribution score of ``(H, W, 3)`` in [0, 255], and the statistic that decides it.

        The score is the largest distance of any statistic from its mean over the training images, in standard
        deviations; at least 0.
        """
        distance = (image_statistics(image) - self.mean) / np.array(self.deviation)
        worst = int(np.abs(distance).argmax())
        side = "above" if distance[worst] > 0 else "below"
        return float(abs(distance[worst])), f"{STATISTICS[worst]} is {side}"


def fit_gradability(
    training: Iterable[NDArray[Any]], validation: Iterable[NDArray[Any]], quantile: float = 0.99
) -> Gradability:
    """Mean and deviation of the training images; the limit from the validation images.

    Args:
        training: RGB images ``(H, W, 3)`` in [0, 255] as the network reads them, unpadded.
        validation: likewise.
        quantile: share of the validation images that are to be gradable, in (0, 1].
    """
    statistics = np.stack([image_statistics(image) for image in training])
    mean, deviation = statistics.mean(axis=0), np.maximum(statistics.std(axis=0), _SMALLEST_DEVIATION)
    fitted = Gradability(tuple(mean.tolist()), tuple(deviation.tolist()), 0.0)
    scores = [fitted.score(image)[0] for image in validation]
    return Gradability(fitted.mean, fitted.deviation, _limit(np.sort(scores), quantile))


def _limit(ordered: NDArray[np.float64], quantile: float) -> float:
    """A limit that at least this share of the scores lies below, halfway between two of them.

    On a score, a rounding would decide whether that image is gradable.
    """
    inside = ordered[max(int(np.ceil(quantile * len(ordered))), 1) - 1]
    above = ordered[ordered > inside]
    return float((inside + above[0]) / 2) if above.size else float(inside * (1 + _MARGIN))
