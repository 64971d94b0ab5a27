"""Where a run's progress is shown."""

from __future__ import annotations

from typing import Any, Protocol

from uml_tf.training.report import EpochReport


class Display(Protocol):
    """Where a run's progress is shown."""

    def stage(self, name: str, total: int) -> Any:
        """A callable that takes the number done of ``total``."""

    def losses(self, epoch: int, step: int, terms: dict[str, float]) -> None:
        """Shows the running losses of an epoch."""

    def epoch(self, report: EpochReport) -> None:
        """Shows a finished epoch."""

    def begin_training(self, epochs: int, steps: int) -> None:
        """Told once, before the first step."""

    def begin_run(self, run_id: str) -> None:
        """Told which run it is, so that it can be gone on with."""
