"""A function of many items, by all cores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from uml_tf.runtime.threads import cores

Result = TypeVar("Result")

_LEAST = 500
"""Fewer items are done sooner than other processes have started."""


def in_order(function: Callable[[Any], Result], items: Sequence[Any]) -> Iterator[Result]:
    """Yields the results in the order of the items; of many items, as other processes compute them.

    Args:
        function: of one item. In another process it and its result are copied, which takes longer than
            computing a small result.
        items: what it is called with.
    """
    processes = cores()
    if len(items) < _LEAST or processes == 1:
        yield from map(function, items)
        return
    # Here, because to import it takes longer than all else that a command's help needs. Its processes need no
    # guard in the script that was started, and take functions that are defined in another function.
    from joblib import Parallel, delayed

    work = Parallel(processes, return_as="generator", batch_size=16, pre_dispatch=f"{8 * processes}")
    yield from work(delayed(function)(item) for item in items)
