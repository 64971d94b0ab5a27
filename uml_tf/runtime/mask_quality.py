"""Mask quality: the Dice that a mask would get, estimated from the probabilities of its pixels alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_THRESHOLDS = 50

_WITHIN = (1e-3, 1 - 1e-4)
"""Range of an expected Dice before its log-odds are taken."""


def expected_dice(probability: Array, members: Sequence[int]) -> float | None:
    """The mean Dice of a region of the predicted mask with the masks that other thresholds would draw.

    Each pixel belongs to the region with its probability p, and errors come together: an outline lies too far
    out or too far in. So the masks that may be true are {p > t} with t even in (0, 1), which contain each
    pixel with its p. (Were the pixels independent, a probability of .03 everywhere would add more area than a
    small region has.) ``DiceFit`` brings the mean to the scale of what was seen.

    Args:
        probability: ``(H, W, C)`` of one image, without padding.
        members: the pixel classes of the region.

    Returns:
        In [0, 1]; None where no pixel is predicted as the region.
    """
    inside = np.isin(probability.argmax(axis=-1), members)
    area = np.count_nonzero(inside)
    if not area:
        return None
    own = probability[..., list(members)].sum(axis=-1, dtype=np.float64)
    # How many of the thresholds (k + .5) / _THRESHOLDS lie below each pixel's probability.
    level = np.clip(np.floor(own * _THRESHOLDS + 0.5).astype(np.int64), 0, _THRESHOLDS)
    everywhere, common = (
        np.cumsum(np.bincount(values, minlength=_THRESHOLDS + 1)[:0:-1])
        for values in (level.ravel(), level[inside])
    )
    return float((2 * common / (area + everywhere)).mean())


def dice_log_odds(value: Any) -> Any:
    """Log-odds of a Dice, kept away from 0 and 1."""
    kept = np.clip(value, *_WITHIN)
    return np.log(kept) - np.log1p(-kept)


@dataclass(frozen=True)
class DiceFit:
    """What was seen on validation images of a region: 1 / (1 + exp(-(slope * log-odds + bias))).

    Attributes:
        slope: of the expected Dice's log-odds, above 0, so that the order of the masks stays.
        bias: of the logistic.
        images: validation images that it is fitted on.
    """

    slope: float
    bias: float
    images: int

    def __call__(self, expected: Any) -> Any:
        """The estimated Dice of an expected Dice, in (0, 1)."""
        return 1 / (1 + np.exp(-(self.slope * dice_log_odds(expected) + self.bias)))


def mask_quality(
    probability: Array, members: Mapping[str, Sequence[int]], fits: Mapping[str, DiceFit]
) -> dict[str, float | None]:
    """The estimated Dice of every region that has a fit; None for one that the mask does not show.

    Args:
        probability: ``(H, W, C)`` of one image, without padding.
        members: region -> its pixel classes.
        fits: region -> what was fitted.
    """
    expected = {name: expected_dice(probability, members[name]) for name in fits if name in members}
    return {name: None if e is None else float(fits[name](e)) for name, e in expected.items()}
