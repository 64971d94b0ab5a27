"""A worker's part of every batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Share:
    """The ``index``-th of ``workers`` equal parts of every batch."""

    index: int = 0
    workers: int = 1

    def of(self, order: Any, batch_size: int) -> Any:
        """The indices of this part, out of an epoch's order ``(steps * batch_size,)``."""
        per_worker = batch_size // self.workers
        return np.reshape(order, (-1, self.workers, per_worker))[:, self.index].ravel()

    def rows(self, drawn: Any, count: int) -> Any:
        """The ``count`` rows of this part, of values that were drawn for a whole batch."""
        return drawn[self.index * count : (self.index + 1) * count]


WHOLE = Share()
