"""Live progress in the terminal."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from uml_tf.training.report import EpochReport
    from uml_tf.training.validation import Validation


_SILENCE = 60.0
"""Seconds after which a stage writes a line where no bar is shown."""


def _dice(values: Sequence[float]) -> str:
    return "/".join(f"{d:.3f}" for d in values)


def _by_source(validation: Validation) -> str:
    """The Dice of each source; of one without masks the predicted share of foreground."""
    parts = [
        f"{source} {_dice(validation.source_dice[source])}"
        if source in validation.source_dice
        else f"{source} no masks, {100 * share:.1f} % foreground"
        for source, share in validation.source_foreground.items()
    ]
    return f" ({'; '.join(parts)})" if parts else ""


class TerminalDisplay:
    """A progress bar for every stage; during training also the losses, the time left, and a line per epoch.

    A context manager that shows the bars until it ends. Where the output is not a terminal, only whole lines
    are written.
    """

    def __init__(self) -> None:
        # A descriptor of its own, so that the bars stay visible while ``quiet`` redirects the other.
        self._stream = os.fdopen(os.dup(sys.stderr.fileno()), "w")
        self.console = Console(file=self._stream, highlight=False)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=self.console,
            disable=not self.console.is_terminal,
            transient=True,
        )
        self._training: TaskID | None = None
        self._epochs = self._steps = 0
        self._start = time.monotonic()

    def __enter__(self) -> TerminalDisplay:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()
        self._stream.close()

    def stage(self, name: str, total: int) -> Callable[[int], None]:
        """Begins a stage; returns a callable that takes the number done."""
        task = self._progress.add_task(name, total=total, note="")
        printed = time.monotonic()

        def done(count: int) -> None:
            nonlocal printed
            self._progress.update(task, completed=count, visible=count < total)
            if count == total:
                self.console.print(f"{name}: {total}")
            elif not self.console.is_terminal and time.monotonic() - printed >= _SILENCE:
                printed = time.monotonic()
                self.console.print(f"{name}: {count} of {total}")

        return done

    def begin_run(self, run_id: str) -> None:
        """Prints the run's id and the command that resumes it."""
        self.console.print(
            f"run {run_id}: Ctrl-C stops it, uml-tf train --resume {run_id} resumes it", soft_wrap=True
        )

    def begin_training(self, epochs: int, steps: int) -> None:
        """Begins the bar of the training, whose unit is a step."""
        self._epochs, self._steps = epochs, steps
        self._training = self._progress.add_task("training", total=epochs * steps, note="compiling")
        self._start = time.monotonic()

    def losses(self, epoch: int, step: int, terms: dict[str, float]) -> None:
        """Shows the mean losses of the epoch so far."""
        if self._training is None:
            return
        note = "  ".join(f"{name} {value:.3f}" for name, value in terms.items())
        self._progress.update(
            self._training,
            completed=epoch * self._steps + step,
            description=f"epoch {epoch + 1}/{self._epochs}",
            note=note,
        )

    def epoch(self, report: EpochReport) -> None:
        """Prints the line of a finished epoch; a star marks one whose weights are kept so far."""
        done = report.epoch + 1
        left = (time.monotonic() - self._start) / done * (self._epochs - done)
        terms = " ".join(f"{name} {value:.3f}" for name, value in report.losses.items())
        v = report.validation
        dice = _dice(v.dice)
        self.console.print(
            f"epoch {done:3d}/{self._epochs}  {terms}  | val accuracy {v.accuracy:.3f} "
            f"Dice {dice}{_by_source(v)} score {report.score:.3f}{' *' if report.is_kept else '  '} "
            f"| {report.seconds:.0f} s, {left / 60:.1f} min left",
            soft_wrap=True,
        )

    def warn(self, message: str) -> None:
        """Prints a warning."""
        self.console.print(f"uml-tf: warning: {message}", soft_wrap=True, markup=False)
