"""Which epoch's weights are kept: the last one that the validation images cannot tell from the best.

On few images the best of many epochs is a matter of chance. An epoch is as good as another where its score
is at most one standard error of the difference lower, both being of the same images. Of epochs that are as
good as the best the last one is kept, whose learning rate is the lowest and whose averaged weights moved the
least (the one-standard-error rule of Breiman et al., "Classification and Regression Trees", 1984, with "the
latest" in place of "the simplest").
Measured with ``benchmarks/best_epoch.py``; the figures are in docs/training.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

SMOOTHING = 3
"""Epochs whose scores are averaged."""


@dataclass(frozen=True)
class EpochScore:
    """The score of an epoch on the validation split.

    Attributes:
        value: in [0, 1]; nan where the split has neither labels nor regions.
        influence: by subject, how far it moves the value: the sum of the squares is the variance that the
            value has because it is of these subjects and of no others (infinitesimal jackknife, Jaeckel,
            1972).
    """

    value: float
    influence: tuple[float, ...] = ()

    def deviation_from(self, other: EpochScore) -> float:
        """The standard error of the difference to the score of another epoch on the same subjects."""
        return float(np.linalg.norm(np.subtract(self.influence, other.influence)))


def mean_of_scores(scores: Sequence[EpochScore]) -> EpochScore:
    """The mean of several epochs' scores of the same subjects."""
    influence = np.mean([score.influence for score in scores], axis=0)
    return EpochScore(float(np.mean([score.value for score in scores])), tuple(influence.tolist()))


@dataclass
class EpochChoice:
    """What the epochs before say about which one is kept.

    Attributes:
        recent: the scores of the last epochs, up to ``SMOOTHING``, which are averaged.
        best: the highest averaged score; None before the first that is a number.
        best_epoch: its number from 0, -1 before the first.
    """

    recent: list[EpochScore] = field(default_factory=list)
    best: EpochScore | None = None
    best_epoch: int = -1

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> EpochChoice:
        """The inverse of ``asdict``, after JSON has made lists of the tuples."""

        def score(values: dict[str, Any]) -> EpochScore:
            return EpochScore(values["value"], tuple(values["influence"]))

        best = data["best"]
        recent = [score(one) for one in data["recent"]]
        return cls(recent, None if best is None else score(best), data["best_epoch"])

    def add(self, epoch: int, score: EpochScore) -> tuple[float, bool]:
        """Adds the score of the next epoch; returns the averaged score, and whether the epoch is kept.

        Without any truth every score is nan, and every epoch is kept in turn; a nan among numbers never is.
        """
        self.recent = [*self.recent, score][-SMOOTHING:]
        averaged = mean_of_scores(self.recent)
        if math.isnan(averaged.value):
            self.best_epoch = epoch if self.best is None else self.best_epoch
            return averaged.value, self.best is None
        if self.best is None or averaged.value > self.best.value:
            self.best, self.best_epoch = averaged, epoch
        is_best = averaged is self.best
        return averaged.value, is_best or averaged.value >= self.best.value - averaged.deviation_from(
            self.best
        )
