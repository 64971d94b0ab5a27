"""Requests of several threads share batches, and each gets what belongs to it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from uml_tf.tracking.batching import Batching


class _Sums:
    """The sum of each image; waits in its first batch until it is told to go on."""

    image_size = (2, 2)
    batch_size = 4

    def __init__(self):
        self.batches = []
        self.begun, self.go_on = threading.Event(), threading.Event()

    def __call__(self, images):
        self.batches.append(len(images))
        self.begun.set()
        assert self.go_on.wait(20)
        if images.max() > 100:
            raise ValueError("too bright")
        return {"sum": images.sum(axis=(1, 2, 3))}


def _images(value, count=1):
    return np.full((count, 2, 2, 3), value, np.float32)


@pytest.fixture
def held():
    """A predictor that is busy with one request until ``go_on``, and what reads the others."""
    predictor = _Sums()
    batching = Batching(predictor)
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(batching, _images(1))
        assert predictor.begun.wait(20)

        def submit(*requests):
            """Requests that wait, in this order."""
            results = []
            for request in requests:
                results.append(pool.submit(batching, request))
                while len(batching._waiting) < len(results):
                    pass
            predictor.go_on.set()
            return results

        yield predictor, first, submit
        predictor.go_on.set()


def test_what_waits_is_read_together_and_divided_again(held):
    predictor, first, submit = held
    results = submit(_images(2), _images(3, 2), _images(4), _images(5, 3))
    found = [result.result(20)["sum"].tolist() for result in (first, *results)]
    assert found == [[12], [24], [36, 36], [48], [60, 60, 60]]
    assert predictor.batches == [1, 4, 3]


def test_a_request_larger_than_a_batch_is_divided(held):
    predictor, _, submit = held
    (result,) = submit(_images(2, 6))
    assert result.result(20)["sum"].tolist() == [24] * 6
    assert predictor.batches == [1, 4, 2]


def test_an_error_reaches_all_of_its_batch_and_none_after_it(held):
    _, first, submit = held
    results = submit(_images(101, 2), _images(2, 2), _images(3))
    assert first.result(20)["sum"].tolist() == [12]
    for result in results[:2]:
        with pytest.raises(ValueError, match="too bright"):
            result.result(20)
    assert results[2].result(20)["sum"].tolist() == [36]
