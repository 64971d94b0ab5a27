"""Runs tasks in processes of their own, a few at a time; one that fails does not stop the others."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.threads import cores
from uml_tf.training.interruption import StoppedError, stop_requests

Message = dict[str, Any]

_POLL = 0.5
"""Seconds between two looks whether the study was asked to stop."""

STOPPED = "study: stopped, all saved; the same command resumes it"
"""What is said of a study that was asked to stop."""


@dataclass(frozen=True)
class Task:
    """What one process does.

    Attributes:
        name: for people.
        module: run with ``python -m``; it takes the number of its pipe as argument (``messages.py``).
        order: the order that it reads, as plain data.
        log: the file that its output is appended to.
    """

    name: str
    module: str
    order: Message
    log: Path


@dataclass(frozen=True)
class Outcome:
    """How a task ended.

    Attributes:
        messages: what its process reported last of each kind.
        failure: why it failed, in one line; "" where it did not.
    """

    messages: dict[str, Message]
    failure: str


def threads_of_each(jobs: int) -> int:
    """Threads for each of several processes at once; 0, which sets no limit, for one alone."""
    return 0 if jobs == 1 else max(1, cores() // jobs)


def _environment(threads: int) -> dict[str, str]:
    values = {
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",  # several processes share the memory of a GPU
        "PYTHONUNBUFFERED": "1",
    }
    if threads:
        values |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    return {**os.environ, **values}


class _Running:
    """A started task; what it reports is put into a queue as (this, message), and (this, None) at its end."""

    def __init__(
        self,
        task: Task,
        threads: int,
        inbox: queue.Queue[tuple[_Running, Message | None]],
        folder: Path | None = None,
    ) -> None:
        self.task = task
        self.messages: dict[str, Message] = {}
        reading, writing = os.pipe()
        try:
            task.log.parent.mkdir(parents=True, exist_ok=True)
            with task.log.open("ab") as log:
                self.process = subprocess.Popen(
                    [sys.executable, "-m", task.module, str(writing)],
                    cwd=folder,
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    env=_environment(threads),
                    pass_fds=(writing,),
                    start_new_session=True,  # Ctrl-C in the terminal is for the study, which passes it on
                )
        except OSError as error:
            os.close(reading)
            raise UmlError(f"{task.log}: cannot be written ({error.strerror or error})") from error
        finally:
            os.close(writing)
        self._order({**task.order, "threads": threads})
        threading.Thread(target=self._read, args=(reading, inbox), daemon=True).start()

    def _order(self, order: Message) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(order).encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return  # it has ended already, which is found out by waiting for it

    def _read(self, reading: int, inbox: queue.Queue[tuple[_Running, Message | None]]) -> None:
        with os.fdopen(reading, encoding="utf-8") as stream:
            for line in stream:
                if line.endswith("\n"):  # the last one of a killed process can be incomplete
                    inbox.put((self, json.loads(line)))
        self.process.wait()
        inbox.put((self, None))

    def outcome(self) -> Outcome:
        """How the ended task ended."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        if "finished" in self.messages:
            return Outcome(self.messages, "")
        if "failed" in self.messages:
            return Outcome(self.messages, str(self.messages["failed"]["message"]))
        status = self.process.returncode
        how = f"signal {-status} ({signal.Signals(-status).name})" if status < 0 else f"exit status {status}"
        return Outcome(self.messages, f"its process ended with {how}; its output is in {self.task.log}")


@dataclass
class Pool:
    """Runs tasks.

    Attributes:
        jobs: how many at the same time.
        started: called when a task starts.
        message: called with a task and what it reports.
        ended: called when a task has ended; not for those that were stopped.
        threads: of each process, 0 for no limit; None for an equal part of the processor's cores.
        folder: working folder of the processes; None for that of this one.
        asked_to_stop: looked at twice a second; has the effect of Ctrl-C.
    """

    jobs: int = 1
    started: Callable[[Task], None] = lambda task: None
    message: Callable[[Task, Message], None] = lambda task, message: None
    ended: Callable[[Task, Outcome], None] = lambda task, outcome: None
    threads: int | None = None
    folder: Path | None = None
    asked_to_stop: Callable[[], bool] = lambda: False

    def run(self, tasks: Sequence[Task]) -> dict[str, Outcome]:
        """Runs all tasks; name of a task -> how it ended.

        Raises:
            StoppedError: Ctrl-C or SIGTERM; what ran has been stopped, after it had saved its state.
            UmlError: a process cannot be started.
        """
        waiting, running = deque(tasks), set[_Running]()
        inbox: queue.Queue[tuple[_Running, Message | None]] = queue.Queue()
        outcomes: dict[str, Outcome] = {}
        try:
            with stop_requests() as stop:
                while waiting or running:
                    if stop.is_set() or self.asked_to_stop():
                        self._stop(running, inbox)
                        raise StoppedError(STOPPED)
                    while waiting and len(running) < self.jobs:
                        running.add(self._start(waiting.popleft(), inbox))
                    try:
                        one, message = inbox.get(timeout=_POLL)
                    except queue.Empty:
                        continue
                    if message is not None:
                        one.messages[message["kind"]] = message
                        self.message(one.task, message)
                        continue
                    running.remove(one)
                    outcomes[one.task.name] = one.outcome()
                    self.ended(one.task, outcomes[one.task.name])
        finally:
            for one in running:
                one.process.kill()
        return outcomes

    def _start(self, task: Task, inbox: queue.Queue[tuple[_Running, Message | None]]) -> _Running:
        self.started(task)
        threads = threads_of_each(self.jobs) if self.threads is None else self.threads
        return _Running(task, threads, inbox, self.folder)

    def _stop(self, running: set[_Running], inbox: queue.Queue[tuple[_Running, Message | None]]) -> None:
        """Asks what runs to stop, and waits until it has."""
        for one in running:
            one.process.terminate()
        while running:
            one, message = inbox.get()
            if message is None:
                running.remove(one)
