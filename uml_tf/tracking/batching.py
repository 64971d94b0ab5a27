"""Requests of several threads, read by one network in common batches."""

from __future__ import annotations

from collections import deque
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uml_tf.runtime.predictor import Outputs, Predictor, predict_all


class _Request:
    """Images of one thread, and what came of them."""

    def __init__(self, images: NDArray[Any]) -> None:
        self.images = images
        self.outputs: Outputs | None = None
        self.error: Exception | None = None

    @property
    def done(self) -> bool:
        return self.outputs is not None or self.error is not None


class Batching:
    """Lets a predictor be called from several threads; the requests that wait meanwhile are read together.

    One thread at a time runs the predictor, for itself and for the requests before its own. With one
    client nothing waits and nothing is slower; with many, a batch costs much less than its images one by one.

    Args:
        predictor: reads batches of any size up to its ``batch_size``.
    """

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self._waiting: deque[_Request] = deque()
        self._running = Lock()

    def __call__(self, images: NDArray[Any]) -> Outputs:
        """The contract's outputs for ``(N, H, W, 3)`` images in [0, 255], N at least 1."""
        request = _Request(images)
        self._waiting.append(request)
        with self._running:
            while not request.done:
                self._run(self._next())
        if request.error is not None:
            raise request.error
        assert request.outputs is not None
        return request.outputs

    def _next(self) -> list[_Request]:
        """The requests of the next batch: the first one, and others as far as they fit beside it."""
        taken = [self._waiting.popleft()]
        free = self._predictor.batch_size - len(taken[0].images)
        # Only the thread that holds the lock takes requests out; others may add some meanwhile.
        while self._waiting and len(self._waiting[0].images) <= free:
            taken.append(self._waiting.popleft())
            free -= len(taken[-1].images)
        return taken

    def _run(self, requests: list[_Request]) -> None:
        try:
            outputs = predict_all(self._predictor, np.concatenate([r.images for r in requests]))
        except Exception as error:  # every thread that waits for this batch must hear of it
            for request in requests:
                request.error = error
            return
        start = 0
        for request in requests:
            end = start + len(request.images)
            request.outputs = {name: value[start:end] for name, value in outputs.items()}
            start = end
