"""Intervals around what is measured on a mask: a region's area, the cup-to-disc ratio.

Split-conformal with a normalised score (Papadopoulos et al., 2008; Lei et al., JASA 2018): on validation
images the distance of the measured from the true value is divided by the doubt about the mask, and the
finite-sample quantile of these scores times the doubt of a new image is the half width around it. For images
that are exchangeable with the validation images the interval holds the true value with its level's chance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

LEVEL = 0.9
RATIO = "vertical_cup_to_disc_ratio"

_LEAST_DOUBT = 0.01


def area_name(region: str) -> str:
    """What the interval of a region's area is called in a card."""
    return f"area_{region}"


def area_doubt(quality: float) -> float:
    """Doubt about an area, as a share of it, by the mask quality of its region: 1 - the estimated Dice.

    Of two masks with areas A and B it is |A - B| / (A + B) at most 1 - Dice.
    """
    return max(1 - quality, _LEAST_DOUBT)


def ratio_doubt(quality: Mapping[str, float | None]) -> float:
    """Doubt about the cup-to-disc ratio, by the mask quality of cup and disc (else rim).

    A part that was not found counts as 1.
    """
    found = [quality.get(name) for name in ("cup", "disc" if "disc" in quality else "rim")]
    return max(sum(1.0 if value is None else 1 - value for value in found), _LEAST_DOUBT)


@dataclass(frozen=True)
class Interval:
    """What validation images show of the errors of one measurement.

    Attributes:
        quantile: of the errors divided by the doubt; None where the images are too few for the level.
        images: validation images that it is of.
        level: chance that the interval holds the true value.
    """

    quantile: float | None
    images: int
    level: float = LEVEL

    def around(self, value: float, doubt: float, most: float) -> tuple[float, float] | None:
        """The interval (low, high) around a measured value; None where there is no quantile.

        Args:
            value: as measured.
            doubt: in the unit of the value.
            most: largest possible value; the smallest is 0.
        """
        if self.quantile is None:
            return None
        half = self.quantile * doubt
        return max(value - half, 0.0), min(value + half, most)


Bounds = tuple[float, float] | None
"""(low, high); None where the validation images were too few, or nothing was found to measure."""


def intervals_around(
    fits: Mapping[str, Interval],
    quality: Mapping[str, float | None],
    areas: Mapping[str, int],
    ratio: float | None,
    pixels: int,
) -> dict[str, Bounds]:
    """The interval of every measurement that has a fit, by its name.

    Args:
        fits: of a card.
        quality: region -> estimated Dice.
        areas: region -> pixels of the picture.
        ratio: the cup-to-disc ratio; None without a disc.
        pixels: number of the picture's pixels.
    """
    found: dict[str, Bounds] = {}
    for region, area in areas.items():
        fit, estimate = fits.get(area_name(region)), quality.get(region)
        if fit is not None:
            measured = area > 0 and estimate is not None
            doubt = area * area_doubt(estimate or 0.0)
            found[area_name(region)] = fit.around(float(area), doubt, float(pixels)) if measured else None
    if RATIO in fits:
        found[RATIO] = None if ratio is None else fits[RATIO].around(ratio, ratio_doubt(quality), 1.0)
    return found
