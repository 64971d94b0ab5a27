"""TensorFlow's optimizer of graphs (Grappler), where it costs more than it brings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

_SWITCH = "disable_meta_optimizer"


@contextmanager
def graphs_as_traced() -> Iterator[None]:
    """Inside the block compiled functions are run as they were traced, without Grappler.

    For a large graph: Grappler goes through it twice with all of its passes, which takes seconds at the first
    call, and leaves the kernels that take the time of the others as they are. TensorFlow reads the option
    at every call, and compiles anew where it differs, so every call of a function must be in such a block.
    """
    before = bool(tf.config.optimizer.get_experimental_options().get(_SWITCH, False))
    tf.config.optimizer.set_experimental_options({_SWITCH: True})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({_SWITCH: before})
