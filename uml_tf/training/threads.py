"""How TensorFlow divides the processor's cores in training."""

from __future__ import annotations

import os

from uml_tf.runtime.threads import cores


def prefer_parallel_operations() -> None:
    """Gives an operation half of the cores, so that two independent ones run beside each other.

    The networks have two encoders, and in the backward pass every layer has two independent gradients; each
    operation is so small that dividing it costs more than it brings. Without effect once TensorFlow has
    computed something, or where the number of threads was set before.
    """
    import tensorflow as tf

    if tf.config.threading.get_intra_op_parallelism_threads() or os.environ.get("TF_NUM_INTRAOP_THREADS"):
        return
    try:
        tf.config.threading.set_intra_op_parallelism_threads(max(cores() // 2, 1))
    except RuntimeError:  # TensorFlow has started its threads
        return
