"""Counting what a network computes."""

from __future__ import annotations

from typing import Any


def gigaflop(model: Any) -> float:
    """10^9 operations of one image, as TensorFlow's profiler counts them (a multiply-add is two).

    Args:
        model: a network; its input is ``(N, *model.image_size, 3)``.
    """
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    run = tf.function(lambda image: model(image, training=False))
    concrete = run.get_concrete_function(tf.TensorSpec((1, *model.image_size, 3), tf.float32))
    frozen = convert_variables_to_constants_v2(concrete)
    options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
    options["output"] = "none"
    return float(tf.compat.v1.profiler.profile(frozen.graph, options=options).total_float_ops / 1e9)
