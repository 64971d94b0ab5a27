"""Mask quality: the Dice that a mask would get, estimated from what is said of its pixels alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uml_tf.runtime.contract import softmax
from uml_tf.runtime.evidence import evidence_from_opinion

Array = NDArray[Any]

MAPS = ("mask_probability", "mask_belief", "mask_uncertainty")
"""The outputs that the Dice of a mask is estimated from."""

_EVIDENCE_SCALE = 4.0
"""See ``evidence_scale``, for a prior weight of 1. Half and twice as much rank the masks of BUSI as well
(docs/trust.md)."""

_THRESHOLDS = 50

_WITHIN = (1e-3, 1 - 1e-4)
"""Range of an expected Dice before its log-odds are taken."""


def evidence_scale(evidential_mask: bool, prior_weight: float) -> float | None:
    """The difference of evidence that counts as a log-odds of 1 for a network's ``outline``.

    Args:
        evidential_mask: whether a Dirichlet head draws the mask.
        prior_weight: of that head, which divides the evidence that belief and uncertainty tell.

    Returns:
        None for a network whose outline is its probability.
    """
    return _EVIDENCE_SCALE / prior_weight if evidential_mask else None


def outline(outputs: Mapping[str, Array], scale: float | None) -> Array:
    """What the masks of other thresholds are drawn from, ``(H, W, C)`` in [0, 1], of sum 1 over the classes.

    A probability alpha / S of much evidence against some is nearly that of little against none; their
    difference tells the two apart, and masks are ranked better by it (docs/trust.md).

    Args:
        outputs: of one image, without the batch axis; of ``MAPS``.
        scale: see ``evidence_scale``.
    """
    if scale is None:
        return outputs["mask_probability"]
    return softmax(evidence_from_opinion(outputs["mask_belief"], outputs["mask_uncertainty"]) / scale)


def expected_dice(outlined: Array, drawn: Array, members: Sequence[int]) -> float | None:
    """The mean Dice of a region of the predicted mask with the masks that other thresholds would draw.

    Each pixel belongs to the region with its probability p, and errors come together: an outline lies too far
    out or too far in. So the masks that may be true are {p > t} with t even in (0, 1), which contain each
    pixel with its p. (Were the pixels independent, a probability of .03 everywhere would add more area than a
    small region has.) ``DiceFit`` brings the mean to the scale of what was seen.

    Args:
        outlined: ``(H, W, C)``, see ``outline``; of one image, without padding.
        drawn: ``(H, W)``, the predicted class of each pixel.
        members: the pixel classes of the region.

    Returns:
        In [0, 1]; None where no pixel is predicted as the region.
    """
    inside = np.isin(drawn, members)
    area = np.count_nonzero(inside)
    if not area:
        return None
    own = outlined[..., list(members)].sum(axis=-1, dtype=np.float64)
    # How many of the thresholds (k + .5) / _THRESHOLDS lie below each pixel's share.
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
        evidence_scale: of the ``outline`` that the expected Dice is of.
    """

    slope: float
    bias: float
    images: int
    evidence_scale: float | None = None

    def __call__(self, expected: Any) -> Any:
        """The estimated Dice of an expected Dice, in (0, 1)."""
        return 1 / (1 + np.exp(-(self.slope * dice_log_odds(expected) + self.bias)))


def mask_quality(
    outputs: Mapping[str, Array], members: Mapping[str, Sequence[int]], fits: Mapping[str, DiceFit]
) -> dict[str, float | None]:
    """The estimated Dice of every region that has a fit; None for one that the mask does not show.

    Args:
        outputs: of one image, without the batch axis and padding.
        members: region -> its pixel classes.
        fits: region -> what was fitted.
    """
    known = {name: fit for name, fit in fits.items() if name in members}
    if not known:
        return {}
    drawn = outputs["mask_probability"].argmax(axis=-1)
    outlines = {scale: outline(outputs, scale) for scale in {fit.evidence_scale for fit in known.values()}}
    expected = {
        name: expected_dice(outlines[fit.evidence_scale], drawn, members[name]) for name, fit in known.items()
    }
    return {name: None if e is None else float(fits[name](e)) for name, e in expected.items()}
