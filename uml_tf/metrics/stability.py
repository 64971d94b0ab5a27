"""Has what a model sees changed? Two histograms, or two shares, of which the first is the reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import betabinom, chi2

Array = NDArray[Any]

LEVEL = 0.99
"""Of the limit that the index stays below where nothing has changed."""
LARGE = 0.25
"""The usual bound from which on a shift is called large."""
_MOST_GROUPS = 10
_CONTROL = 0.0027
"""Chance of a point beyond three standard deviations: that of Shewhart's control charts."""


@dataclass(frozen=True)
class Stability:
    """A population stability index.

    Attributes:
        index: 0 where both histograms are alike; larger the more they differ.
        limit: what it exceeds by chance in 1 % of such comparisons where nothing has changed.
    """

    index: float
    limit: float

    @property
    def verdict(self) -> str:
        """One of "stable", "shifted" (more than chance) and "large shift" (at least 0.25, too)."""
        if not self.index > self.limit:
            return "stable"
        return "large shift" if self.index >= LARGE else "shifted"


def _grouped(reference: Array, found: Array) -> tuple[Array, ...]:
    """Neighbouring bins united until each has about a tenth of the reference."""
    wanted = max(reference.sum() / _MOST_GROUPS, 1)
    ends, held = [], 0.0
    for place, count in enumerate(reference):
        held += count
        if held >= wanted:
            ends.append(place + 1)
            held = 0.0
    if len(ends) < 2:  # nearly all in one bin, as of the familiarity: that bin, and the others
        fullest = int(reference.argmax())
        return tuple(
            np.array([counts[fullest], counts.sum() - counts[fullest]]) for counts in (reference, found)
        )
    starts = np.array([0, *ends[:-1]])  # what is left joins the last group
    return np.add.reduceat(reference, starts), np.add.reduceat(found, starts)


def stability(reference: Array, found: Array) -> Stability:
    """The population stability index of two histograms over the same bins, with its limit by chance.

    Bins are united first, so that each holds about a tenth of the reference; half an image is added to each.
    Without a change the index is distributed as (1/n + 1/m) times a chi-squared variable with one degree of
    freedom less than there are bins. nan where either is empty.

    Args:
        reference: ``(B,)`` numbers of images.
        found: the same.

    Source: Yurdakul and Naranjo, "Statistical properties of the population stability index", 2020.
    """
    reference, found = np.asarray(reference, float), np.asarray(found, float)
    if not reference.sum() or not found.sum():
        return Stability(np.nan, np.nan)
    p, q = _grouped(reference, found)
    n, m = p.sum(), q.sum()
    p, q = ((counts + 0.5) / (counts + 0.5).sum() for counts in (p, q))
    index = float(((q - p) * np.log(q / p)).sum())
    return Stability(index, float((1 / n + 1 / m) * chi2.ppf(LEVEL, len(p) - 1)))


def control_limits(count: int, total: int, images: int) -> tuple[float, float]:
    """The shares between which a share of ``images`` images stays where nothing has changed, but for 0.27 %.

    The reference is itself only a sample, so the limits are those of a beta-binomial variable, with Jeffreys'
    prior: wider than the usual ones of a p chart, the more so the smaller the reference is.

    Args:
        count: images of the reference that are counted.
        total: images of the reference.
        images: images whose share is looked at, at least 1.
    """
    a, b = count + 0.5, total - count + 0.5
    low, high = betabinom.ppf((_CONTROL / 2, 1 - _CONTROL / 2), images, a, b)
    return float(low) / images, float(high) / images
