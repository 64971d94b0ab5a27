"""Where the progress of a training is shown."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Protocol

from uml_tf.training.report import EpochReport


class Display(Protocol):
    """Shows the progress of a training."""

    def stage(self, name: str, total: int) -> Callable[[int], None]:
        """Begins a stage of work; returns a callable that takes the number done of ``total``."""

    def begin_run(self, run_id: str) -> None:
        """Shows the id of the run, with which it can be resumed."""

    def begin_training(self, epochs: int, steps: int) -> None:
        """Called once, before the first of ``epochs`` epochs of ``steps`` steps each."""

    def losses(self, epoch: int, step: int, terms: dict[str, float]) -> None:
        """Shows the mean losses of an epoch up to a step."""

    def epoch(self, report: EpochReport) -> None:
        """Shows a finished epoch."""

    def warn(self, message: str) -> None:
        """Shows a line about something that the user may want to change."""


class SilentDisplay:
    """Shows nothing; warnings are Python warnings. For use from Python, where there may be no terminal."""

    def stage(self, name: str, total: int) -> Callable[[int], None]:
        """Returns a callable that does nothing."""
        return lambda done: None

    def begin_run(self, run_id: str) -> None:
        """Does nothing."""

    def begin_training(self, epochs: int, steps: int) -> None:
        """Does nothing."""

    def losses(self, epoch: int, step: int, terms: dict[str, float]) -> None:
        """Does nothing."""

    def epoch(self, report: EpochReport) -> None:
        """Does nothing."""

    def warn(self, message: str) -> None:
        """Issues a ``UserWarning``."""
        warnings.warn(message, stacklevel=2)


SILENT: Display = SilentDisplay()
