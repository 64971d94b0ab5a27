"""Live progress of a study in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from uml_tf.cli.display import TerminalDisplay

if TYPE_CHECKING:
    from collections.abc import Callable

    from uml_tf.study.cells import Cell


def _left(seconds: float | None) -> str:
    """Nothing where nothing is known, or left."""
    if not seconds:
        return ""
    if seconds < 5400:
        return f", about {max(seconds / 60, 1):.0f} min left"
    return f", about {seconds / 3600:.1f} h left"


class TerminalStudyDisplay:
    """A line for every event of a study, with the time left; on a terminal also a bar.

    Args:
        terminal: where it is shown; the caller begins and ends it.
    """

    def __init__(self, terminal: TerminalDisplay) -> None:
        self._terminal = terminal
        self._cells = 0

    def _print(self, line: str) -> None:
        self._terminal.console.print(line, soft_wrap=True, markup=False)

    def stage(self, name: str, total: int) -> Callable[[int], None]:
        """Begins a stage; returns a callable that takes the number done."""
        return self._terminal.stage(name, total)

    def begin(self, cells: int, finished: int) -> None:
        """Prints the number of cells."""
        self._cells = cells
        self._print(f"study: {cells} cells, {finished} finished before")

    def started(self, cell: Cell, resumed: bool) -> None:
        """Prints that a cell is trained now."""
        self._print(f"{cell.name}: {'resumed' if resumed else 'started'}")

    def epoch(self, cell: Cell, done: int, seconds_left: float | None) -> None:
        """Prints how many epochs of a cell are done."""
        self._print(f"{cell.name}: epoch {done}/{cell.config.epochs}{_left(seconds_left)}")

    def finished(self, cell: Cell, done: int, seconds_left: float | None) -> None:
        """Prints that a cell is finished."""
        self._print(f"{cell.name}: finished, {done} of {self._cells} cells{_left(seconds_left)}")

    def failed(self, cell: Cell, reason: str) -> None:
        """Prints why a cell failed."""
        self._print(f"{cell.name}: failed: {reason}")

    def warn(self, message: str) -> None:
        """Prints a warning."""
        self._terminal.warn(message)
