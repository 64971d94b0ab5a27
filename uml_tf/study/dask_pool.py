"""Runs the tasks of a study on the workers of a Dask cluster; ``pool.py`` does so on one machine.

Needs the package of the extra ``[dask]``. A worker runs one task at a time, in a process of its own that it
starts as the local pool does; so a task is the same wherever it runs.
"""

from __future__ import annotations

import logging
import queue
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uml_tf.runtime.errors import UmlError
from uml_tf.study.pool import STOPPED, Message, Outcome, Pool, Task
from uml_tf.training.interruption import StoppedError, stop_requests

if TYPE_CHECKING:
    from distributed import Client, Future

_POLL = 0.5
_BEGUN = "begun"
"""Kind of the message by which a worker says that it has taken a task."""


def _on_worker(task: Task, topic: str, folder: str) -> Outcome:
    """Runs a task on a worker, and passes its messages on."""
    from distributed import Event, get_worker

    worker, stop = get_worker(), Event(topic)

    def pass_on(task: Task, message: Message) -> None:
        worker.log_event(topic, {"task": task.name, **message})

    if not Path(folder).is_dir():
        raise UmlError(f"{folder}: not found on {worker.address}, expected the folder of the study there")
    worker.log_event(topic, {"task": task.name, "kind": _BEGUN})
    pool = Pool(1, message=pass_on, folder=Path(folder), asked_to_stop=stop.is_set)
    return pool.run([task])[task.name]


@dataclass
class DaskPool:
    """Runs tasks on a Dask cluster.

    Every worker needs uml-tf, the working folder of the study and its data at the same paths, and the
    variables of the MLflow store in its environment.

    Attributes:
        scheduler: its address, "tcp://host:8786".
        started, message, ended: as those of ``Pool``. A task counts as started when a worker may take it.
        warn: told in one line that no worker is there yet.
    """

    scheduler: str
    started: Callable[[Task], None] = lambda task: None
    message: Callable[[Task, Message], None] = lambda task, message: None
    ended: Callable[[Task, Outcome], None] = lambda task, outcome: None
    warn: Callable[[str], None] = lambda line: None

    def run(self, tasks: Sequence[Task]) -> dict[str, Outcome]:
        """Runs all tasks; name of a task -> how it ended.

        Raises:
            StoppedError: Ctrl-C or SIGTERM; what ran has been stopped, after it had saved its state.
            UmlError: there is no scheduler, it was lost, or the extra ``[dask]`` is not installed.
        """
        with self._connected() as client:
            if not client.scheduler_info(n_workers=-1)["workers"]:
                self.warn(f"--dask {self.scheduler}: no worker is there yet; the first to come begins")
            return self._run(client, tasks)

    def _connected(self) -> Client:
        try:
            from distributed import Client
        except ImportError as error:
            raise UmlError("--dask: found no Dask, install it with: pip install 'uml-tf[dask]'") from error
        # Its own lines about a lost scheduler are tracebacks; ours is one line.
        for name in ("distributed", "tornado.application"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        try:
            return Client(self.scheduler, timeout=10, set_as_default=False)
        except (OSError, ValueError) as error:
            raise UmlError(f"--dask {self.scheduler}: no scheduler can be reached there ({error})") from error

    def _run(self, client: Client, tasks: Sequence[Task]) -> dict[str, Outcome]:
        from distributed import Event

        topic = f"uml-tf-{uuid.uuid4().hex}"
        inbox: queue.Queue[tuple[str, Any]] = queue.Queue()
        client.subscribe_topic(topic, lambda event: inbox.put(("message", event[1])))
        named, outcomes = {task.name: task for task in tasks}, dict[str, Outcome]()
        futures: dict[str, Future] = {}
        begun: set[str] = set()
        with stop_requests() as stop:
            for task in tasks:
                self.started(task)
                # A failed training is an outcome; one whose worker was lost may be run by another worker.
                future = client.submit(_on_worker, task, topic, str(Path.cwd()), key=f"{topic}-{task.name}")
                futures[task.name] = future
                future.add_done_callback(lambda done, name=task.name: inbox.put(("done", (name, done))))
            while len(outcomes) < len(named):
                if stop.is_set():
                    Event(topic, client=client).set()
                    client.cancel([futures[name] for name in named.keys() - begun - outcomes.keys()])
                try:
                    kind, content = inbox.get(timeout=_POLL)
                except queue.Empty:
                    continue
                if kind == "message":
                    if content["kind"] == _BEGUN:
                        begun.add(content["task"])
                    else:
                        self.message(named[content["task"]], content)
                    continue
                name, done = content
                if done.cancelled() and not stop.is_set():
                    raise UmlError(
                        f"--dask {self.scheduler}: the scheduler was lost; the same command resumes the study"
                    )
                outcomes[name] = _outcome(done)
                if not stop.is_set():
                    self.ended(named[name], outcomes[name])
            if stop.is_set():
                raise StoppedError(STOPPED)
        return outcomes


def _outcome(done: Future) -> Outcome:
    if done.cancelled():
        return Outcome({}, "it had not begun")
    error = done.exception()
    return Outcome({}, str(error)) if error is not None else done.result()
