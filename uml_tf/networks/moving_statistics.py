"""The moving statistics of batch norms, gathered so that they can be updated all at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple


class Move(NamedTuple):
    """A step of a moving statistic: to momentum * variable + (1 - momentum) * value."""

    variable: Any
    value: Any
    momentum: float

    def carry_out(self) -> None:
        """Updates the variable."""
        self.variable.assign(self.variable * self.momentum + self.value * (1.0 - self.momentum))


_GATHERED: ContextVar[dict[int, Move] | None] = ContextVar("gathered", default=None)


def move(variable: Any, value: Any, momentum: float) -> None:
    """Moves a statistic towards a batch's value: at once, or not yet, inside ``gathered_moves``."""
    gathered = _GATHERED.get()
    new = Move(variable, value, momentum)
    if gathered is None:
        new.carry_out()
        return
    if id(variable) in gathered:  # a layer that is used twice moves its statistics twice
        gathered.pop(id(variable)).carry_out()
    gathered[id(variable)] = new


@contextmanager
def gathered_moves() -> Iterator[dict[int, Move]]:
    """Yields a dict of the moves that layers ask for inside the block; the caller carries them out."""
    gathered: dict[int, Move] = {}
    token = _GATHERED.set(gathered)
    try:
        yield gathered
    finally:
        _GATHERED.reset(token)
