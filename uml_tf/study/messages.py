"""What the process of a study and the processes of its cells tell each other: a line of JSON each.

The process of a cell reads its order from standard input, which stays open as long as the study lives, and
writes its messages to a pipe, whose number is its argument. What it prints goes to a log.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, BinaryIO

from uml_tf.networks.long_lived import collect_seldom
from uml_tf.runtime.errors import UmlError

if TYPE_CHECKING:
    from uml_tf.training.report import EpochReport


def read_order() -> dict[str, Any]:
    """The order of this process. When the study ends afterwards, however it does, this process is stopped."""
    order: dict[str, Any] = json.loads(sys.stdin.readline())
    threading.Thread(target=_stop_with_study, daemon=True).start()
    return order


def _stop_with_study() -> None:
    """Reads standard input to its end, which the death of the study's process makes, then asks to stop."""
    # Not by sys.stdin, whose lock a thread must not hold when the interpreter ends.
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


class Reporter:
    """A display of a training (``uml_tf.training.display.Display``) that sends messages to the study.

    Args:
        stream: where the messages are written; without a buffer, which could not be closed without an error
            when the study has ended.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._epochs = 0

    def send(self, kind: str, **content: Any) -> None:
        """Sends a message; one that nobody reads any more is dropped."""
        try:
            self._stream.write(json.dumps({"kind": kind, **content}).encode() + b"\n")
        except OSError:
            return  # the study has ended, and this process is being stopped

    def stage(self, name: str, total: int) -> Callable[[int], None]:
        """Returns a callable that does nothing."""
        return lambda done: None

    def begin_run(self, run_id: str) -> None:
        """Sends the run's id."""
        self.send("run", run_id=run_id)

    def begin_training(self, epochs: int, steps: int) -> None:
        """Keeps the number of epochs."""
        self._epochs = epochs

    def losses(self, epoch: int, step: int, terms: dict[str, float]) -> None:
        """Does nothing."""

    def epoch(self, report: EpochReport) -> None:
        """Sends the number of finished epochs and the duration of the last."""
        self.send("epoch", done=report.epoch + 1, epochs=self._epochs, seconds=report.seconds)

    def warn(self, message: str) -> None:
        """Sends a warning."""
        self.send("warning", message=message)


def limit_threads(count: int) -> None:
    """Limits the threads of TensorFlow and OpenCV; before TensorFlow's first use.

    Args:
        count: number of threads; 0 for the libraries' own choice.
    """
    if not count:
        return
    import cv2
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(count)
    tf.config.threading.set_inter_op_parallelism_threads(count)
    cv2.setNumThreads(count)


def carry_out(work: Callable[[dict[str, Any], Reporter], dict[str, Any]]) -> None:
    """The whole of such a process: carries out its order, and reports how it ended.

    Args:
        work: takes the order and the reporter; what it returns is the content of the message "finished".
            An error becomes the message "failed", of one line, and the exit status.
    """
    with os.fdopen(int(sys.argv[1]), "wb", buffering=0) as stream:
        reporter = Reporter(stream)
        collect_seldom()
        order = read_order()
        try:
            limit_threads(order["threads"])
            reporter.send("finished", **work(order, reporter))
        except UmlError as error:
            print(error, file=sys.stderr)  # noqa: T201  (for the log)
            reporter.send("failed", message=str(error))
            sys.exit(error.exit_status)
        except Exception as error:  # the log has the traceback, the study shows one line
            traceback.print_exc()
            reporter.send("failed", message=f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")
            sys.exit(1)
