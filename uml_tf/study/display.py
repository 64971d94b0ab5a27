"""Where the progress of a study is shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from uml_tf.study.cells import Cell


class StudyDisplay(Protocol):
    """Shows the progress of a study."""

    def stage(self, name: str, total: int) -> Callable[[int], None]:
        """Begins a stage of work; returns a callable that takes the number done of ``total``."""

    def begin(self, cells: int, finished: int) -> None:
        """Called once with the number of cells, and of those that were finished before."""

    def started(self, cell: Cell, resumed: bool) -> None:
        """Shows that a cell is trained, or resumed, now."""

    def epoch(self, cell: Cell, done: int, seconds_left: float | None) -> None:
        """Shows how many epochs of a cell are done, and the time left to the whole study."""

    def finished(self, cell: Cell, done: int, seconds_left: float | None) -> None:
        """Shows that a cell is finished, and how many cells are done now."""

    def failed(self, cell: Cell, reason: str) -> None:
        """Shows that a cell failed."""

    def warn(self, message: str) -> None:
        """Shows a line about something that the user may want to change."""
