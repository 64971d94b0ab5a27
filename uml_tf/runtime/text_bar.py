"""A progress bar of plain characters, for a device without further packages."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TextIO

_WIDTH = 24
_SECONDS_BETWEEN = 0.2
_SECONDS_BETWEEN_LINES = 60.0
_ERASE = "\r\x1b[K"


class TextBar:
    """A bar in the last line of a terminal; elsewhere a line a minute.

    Args:
        total: what there is to do.
        stream: where the bar is drawn.
        is_wanted: whether to draw it at all.
        clock: the seconds.
    """

    def __init__(
        self,
        total: int,
        stream: TextIO,
        is_wanted: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._total, self._stream, self._clock, self._is_wanted = total, stream, clock, is_wanted
        self._is_shown = is_wanted and stream.isatty()
        self._start = self._last = clock()
        self._first: int | None = None

    def show(self, done: int) -> None:
        """Draws the bar with the number done, and the time left by the rate since the first call."""
        now = self._clock()
        if self._first is None:
            self._first, self._start = done, now
        if not self._is_shown:
            self._show_line(done, now)
            return
        if done < self._total and now - self._last < _SECONDS_BETWEEN:
            return
        self._last = now
        if done >= self._total:
            self._stream.write(_ERASE)
        else:
            filled = "#" * (done * _WIDTH // self._total)
            self._stream.write(f"{_ERASE}[{filled:<{_WIDTH}}] {done}/{self._total}{self._left(done, now)}")
        self._stream.flush()

    def _show_line(self, done: int, now: float) -> None:
        if self._is_wanted and done < self._total and now - self._last >= _SECONDS_BETWEEN_LINES:
            self._last = now
            self._stream.write(f"{done}/{self._total}{self._left(done, now)}\n")
            self._stream.flush()

    def _left(self, done: int, now: float) -> str:
        new = done - (self._first or 0)
        if not new:
            return ""
        seconds = (now - self._start) / new * (self._total - done)
        return f", {seconds:.0f} s left" if seconds < 100 else f", {seconds / 60:.0f} min left"

    def above(self, say: Callable[[str], None]) -> Callable[[str], None]:
        """A function that prints lines, after erasing the bar."""

        def print_line(line: str) -> None:
            if self._is_shown:
                self._stream.write(_ERASE)
                self._stream.flush()
            say(line)

        return print_line
