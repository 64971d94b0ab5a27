"""The time that a study still takes, from the epochs that it has seen."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping

import numpy as np


class Forecast:
    """Predicts from the mean duration of an arm's epochs; of all arms' epochs for one that has none yet.

    What a cell needs besides its epochs, to start and to evaluate, is added as soon as one cell has ended.

    Args:
        epochs: name of a cell that is to be trained -> (its arm, number of epochs).
        jobs: cells that are trained at the same time.
        clock: seconds since some moment.
    """

    def __init__(
        self,
        epochs: Mapping[str, tuple[str, int]],
        jobs: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._arm = {cell: arm for cell, (arm, _) in epochs.items()}
        self._left = {cell: count for cell, (_, count) in epochs.items()}
        self._jobs = jobs
        self._clock = clock
        self._begun: dict[str, float] = {}
        self._epochs: dict[str, list[float]] = defaultdict(list)
        self._besides: dict[str, float] = {}
        self._ended: set[str] = set()

    def begin(self, cell: str) -> None:
        """Notes that the process of a cell is started."""
        self._begun[cell] = self._clock()

    def epoch(self, cell: str, left: int, seconds: float) -> None:
        """Notes a finished epoch of a cell, the number of epochs left to it, and the duration."""
        self._left[cell] = left
        self._epochs[cell].append(seconds)

    def end(self, cell: str) -> None:
        """Notes that a cell has ended, early perhaps."""
        self._left[cell] = 0
        self._ended.add(cell)
        if self._epochs[cell]:  # one that failed before says nothing of the others
            self._besides[cell] = self._clock() - self._begun[cell] - sum(self._epochs[cell])

    def seconds(self) -> float | None:
        """Seconds to the end of all cells; None before the first epoch."""
        seen: dict[str, list[float]] = defaultdict(list)
        for cell, durations in self._epochs.items():
            seen[self._arm[cell]] += durations
        mean = {arm: float(np.mean(durations)) for arm, durations in seen.items() if durations}
        if not mean:
            return None
        overall = float(np.mean(list(mean.values())))
        besides = float(np.mean(list(self._besides.values()))) if self._besides else 0.0
        work = [
            count * mean.get(self._arm[cell], overall) + besides
            for cell, count in self._left.items()
            if cell not in self._ended
        ]
        # No shorter than the longest cell: it runs in one process.
        return max([0.0, sum(work) / self._jobs, *work])
