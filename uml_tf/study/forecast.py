"""The time that a study still takes, from the epochs that it has seen."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import numpy as np


class Forecast:
    """Predicts from the mean duration of an arm's epochs; of all arms' epochs for one that has none yet.

    Args:
        epochs: name of a cell that is to be trained -> (its arm, number of epochs).
        jobs: cells that are trained at the same time.
    """

    def __init__(self, epochs: Mapping[str, tuple[str, int]], jobs: int) -> None:
        self._arm = {cell: arm for cell, (arm, _) in epochs.items()}
        self._left = {cell: count for cell, (_, count) in epochs.items()}
        self._jobs = jobs
        self._seconds: dict[str, list[float]] = defaultdict(list)

    def epoch(self, cell: str, left: int, seconds: float) -> None:
        """Notes a finished epoch of a cell, the number of epochs left to it, and the duration."""
        self._left[cell] = left
        self._seconds[self._arm[cell]].append(seconds)

    def end(self, cell: str) -> None:
        """Notes that a cell has ended, early perhaps."""
        self._left[cell] = 0

    def seconds(self) -> float | None:
        """Seconds to the end of all cells; None before the first epoch."""
        if not self._seconds:
            return None
        mean = {arm: float(np.mean(seen)) for arm, seen in self._seconds.items()}
        overall = float(np.mean(list(mean.values())))
        work = {cell: count * mean.get(self._arm[cell], overall) for cell, count in self._left.items()}
        # No shorter than the longest cell: it runs in one process.
        return max([sum(work.values()) / self._jobs, *work.values()])
