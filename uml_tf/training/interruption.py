"""Requests to stop: Ctrl-C, or SIGTERM from the scheduler of a cluster."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from uml_tf.runtime.errors import UmlError


class StoppedError(UmlError):
    """The training stopped after a step, as requested, with its whole state saved."""

    exit_status = 130  # as shells report an interrupted command


@contextmanager
def stop_requests() -> Iterator[threading.Event]:
    """Yields an event that the first Ctrl-C or SIGTERM sets; a second one raises ``KeyboardInterrupt``."""
    event = threading.Event()

    def request(number: int, frame: FrameType | None) -> None:
        if event.is_set():
            raise KeyboardInterrupt
        event.set()

    if threading.current_thread() is not threading.main_thread():
        yield event  # Python handles signals in the main thread only
        return
    previous = {number: signal.signal(number, request) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield event
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
