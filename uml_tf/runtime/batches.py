"""Reading many images: files are decoded and results written by threads, while the network computes.

Decoding, resizing, compressing and the network release Python's lock, so that threads use all cores.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.picture import Picture
from uml_tf.runtime.placement import Placement
from uml_tf.runtime.prediction import Model, Prediction, interpret, of_picture
from uml_tf.runtime.predictor import Outputs
from uml_tf.runtime.threads import cores

Array = NDArray[Any]
Job = TypeVar("Job")
Given = TypeVar("Given")
Made = TypeVar("Made")


@dataclass(frozen=True)
class _Seen(Generic[Job]):
    """An image as a network reads it, or why it cannot be read."""

    job: Job
    picture: Picture | None = None
    placement: Placement | None = None
    input: Array | None = None
    error: UmlError | None = None


def ordered(
    pool: ThreadPoolExecutor, function: Callable[[Given], Made], items: Iterable[Given], ahead: int
) -> Iterator[Made]:
    """The results of a function for each item, in their order, computed by a pool.

    Args:
        pool: of threads.
        function: must not wait for the pool.
        items: are taken only ``ahead`` of the results, so that memory stays bounded.
        ahead: at least 1.
    """
    pending: deque[Future[Made]] = deque()
    for item in items:
        pending.append(pool.submit(function, item))
        if len(pending) > ahead:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()


def _batches(items: Iterable[Given], size: int) -> Iterator[list[Given]]:
    remaining = iter(items)
    while batch := list(itertools.islice(remaining, size)):
        yield batch


def _answered(model: Model, seen: list[_Seen[Job]]) -> Iterator[tuple[_Seen[Job], Outputs]]:
    """Runs the network on those that could be read; the others have no outputs."""
    inputs = [one.input for one in seen if one.input is not None]
    outputs = model(np.stack(inputs)) if inputs else {}
    place = 0
    for one in seen:
        if one.input is None:
            yield one, {}
        else:
            yield one, {name: value[place] for name, value in outputs.items()}
            place += 1


def predict_each(
    model: Model,
    jobs: Iterable[Job],
    read: Callable[[Job], Picture],
    use: Callable[[Job, Picture, Prediction], Made],
    failed: Callable[[Job, UmlError], Made],
    workers: int | None = None,
) -> Iterator[Made]:
    """Reads many images with a model; yields what ``use`` or ``failed`` returns, in the order of the jobs.

    Args:
        model: in any form; images go through it ``model.batch_size`` at a time.
        jobs: one for each image; taken as they are needed.
        read: returns the picture of a job, in a thread. A ``UmlError`` that it raises
            concerns this image alone.
        use: takes job, picture and prediction, in a thread. What it raises ends the iteration.
        failed: takes a job whose image could not be read, and why.
        workers: threads beside the network's; by default one for each core.
    """
    workers = workers or cores()

    def see(job: Job) -> _Seen[Job]:
        try:
            picture = read(job)
        except UmlError as error:
            return _Seen(job, error=error)
        placement = model.place(picture.pixels)
        return _Seen(job, picture, placement, placement.image(picture.pixels))

    def finish(answer: tuple[_Seen[Job], Outputs]) -> Made:
        seen, outputs = answer
        if seen.picture is None or seen.placement is None:
            return failed(seen.job, seen.error or UmlError("not read"))
        prediction = of_picture(interpret(outputs, seen.placement, model.card), seen.picture)
        return use(seen.job, seen.picture, prediction)

    pool = ThreadPoolExecutor(workers)
    try:
        seen = ordered(pool, see, jobs, workers + model.batch_size)
        batches = _batches(seen, model.batch_size)
        answers = itertools.chain.from_iterable(_answered(model, batch) for batch in batches)
        yield from ordered(pool, finish, answers, workers)
    finally:
        pool.shutdown(cancel_futures=True)
