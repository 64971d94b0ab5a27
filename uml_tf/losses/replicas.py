"""Sums over the replicas that share a batch, so that the result does not depend on their number.

A replica is one device of one machine. What is computed over a whole batch (the loss's means, the Dice, batch
statistics) is summed here; with one replica nothing happens.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


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
