"""Sums over the replicas that share a batch, so that the result does not depend on their number.

A replica is one device of one machine. What is computed over a whole batch (the loss's means, the Dice, batch
statistics) is summed here; with one replica nothing happens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import keras
from keras import ops

_INSTEAD: ContextVar[Callable[[Any], Any] | None] = ContextVar("instead of a sum", default=None)


def _context() -> Any:
    """TensorFlow's replica context; None with one replica, outside one, and on other backends."""
    if keras.backend.backend() != "tensorflow":
        return None
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    return context if context is not None and context.num_replicas_in_sync > 1 else None


def replica_count() -> int:
    """Number of replicas that compute the current step together."""
    context = _context()
    return 1 if context is None else int(context.num_replicas_in_sync)


def sum_over_replicas(value: Any) -> Any:
    """The sum of every replica's value, on each of them.

    Its gradient is the sum of the replicas' upstream gradients. So where every replica computes the same
    loss, divide it by their number before taking gradients, and sum the gradients.
    """
    instead = _INSTEAD.get()
    if instead is not None:
        return instead(value)
    context = _context()
    if context is None:
        return value
    import tensorflow as tf

    return context.all_reduce(tf.distribute.ReduceOp.SUM, value)


def gather_over_replicas(value: Any) -> Any:
    """The values of all replicas, stacked to ``(replicas, ...)``, on each of them."""
    context = _context()
    if context is None:
        return keras.ops.expand_dims(value, 0)
    import tensorflow as tf

    own = tf.one_hot(context.replica_id_in_sync_group, context.num_replicas_in_sync, dtype=value.dtype)
    return sum_over_replicas(tf.reshape(own, (-1, *[1] * len(value.shape))) * value)


def own_rows(value: Any, count: Any) -> Any:
    """This replica's ``count`` rows of a value for the whole batch, ``(replicas * count, ...)``."""
    context = _context()
    if context is None:
        return value
    start = context.replica_id_in_sync_group * count
    return value[start : start + count]


def ratio_over_replicas(total: Any, weight: Any) -> Any:
    """Sum of all replicas' totals over the sum of their weights; 0 when every weight is 0."""
    totals, weights = ops.unstack(sum_over_replicas(ops.stack([total, weight])))
    return totals / ops.maximum(weights, 1e-9)


@contextmanager
def _instead(function: Callable[[Any], Any]) -> Iterator[None]:
    token = _INSTEAD.set(function)
    try:
        yield
    finally:
        _INSTEAD.reset(token)


def _sum_for_one_loss(value: Any) -> Any:
    """``sum_over_replicas`` of what only a loss depends on that is the same on every replica.

    The upstream gradients are equal then, and need not be exchanged to be summed.
    """
    import tensorflow as tf

    @tf.custom_gradient
    def summed(value: Any) -> Any:
        return sum_over_replicas(value), lambda upstream: upstream * float(replica_count())

    return summed(value)


class InOneSum:
    """A loss whose sums over replicas do not depend on each other, computed with one sum for all of them.

    A sum over machines costs its latency, not its few bytes. So the loss is computed twice: first the
    values that it would sum, which are summed together; then, from these sums alone, the result.

    Args:
        loss: of ``(outputs, *rest)``, a dict of tensors and more arguments. What it returns depends on them
            only by ``sum_over_replicas`` of float32, and by scalars that every replica has.
        compiled: applied to the part that computes the values; for a kernel of XLA, which cannot hold sums.
    """

    def __init__(
        self, loss: Callable[..., Any], compiled: Callable[[Callable[..., Any]], Callable[..., Any]]
    ) -> None:
        self._loss = loss
        self._values = compiled(self._own_values)

    def __call__(self, outputs: dict[str, Any], *rest: Any) -> Any:
        """What the loss returns; its gradient reaches ``outputs`` alone."""
        summed = _sum_for_one_loss(self._values(outputs, *rest))
        taken: list[int] = []

        def next_sum(value: Any) -> Any:
            start = sum(taken)
            taken.append(value.shape.num_elements())
            return ops.reshape(summed[start : sum(taken)], value.shape)

        with _instead(next_sum):
            return self._loss({name: ops.stop_gradient(value) for name, value in outputs.items()}, *rest)

    def _own_values(self, outputs: dict[str, Any], *rest: Any) -> Any:
        """The values that the loss sums, one after the other: ``(N,)``."""
        found: list[Any] = []

        def keep(value: Any) -> Any:
            found.append(ops.reshape(value, (-1,)))
            return value

        with _instead(keep):
            self._loss(outputs, *rest)
        return ops.concatenate(found)
