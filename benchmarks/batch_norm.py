"""A training step of ``edge``, with Keras' batch norm and with the fused kernel.

Run: ``python benchmarks/batch_norm.py``. Prints seconds a step for 8 images of 128 x 128, and the ratio.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import tensorflow as tf

from uml_tf.losses import LossSpec
from uml_tf.networks import UML, preset
from uml_tf.networks.normalization import BatchNormalization
from uml_tf.training.step import StepSpec, TrainStep

BATCH, SIZE, STEPS = 8, 128, 20


def compiled_step() -> Callable[[], float]:
    """A call that trains one step and returns its seconds; traced with the current ``call``."""
    model = UML(preset("edge"), 2, 3, (SIZE, SIZE))
    step = TrainStep(model, keras.optimizers.Adam(1e-3), LossSpec(), StepSpec(), None)
    batch = {
        "image": tf.random.uniform((BATCH, SIZE, SIZE, 3), maxval=255.0),
        "label": tf.constant([0, 1] * (BATCH // 2)),
        "mask": tf.zeros((BATCH, SIZE, SIZE), tf.uint8),
        "has_mask": tf.ones(BATCH),
    }

    def run() -> float:
        start = time.perf_counter()
        float(step(batch, 0)["total"])
        return time.perf_counter() - start

    run()
    return run


def main() -> None:
    """Measures both in turn and prints the ratio."""
    fused = compiled_step()
    own = BatchNormalization.call
    BatchNormalization.call = keras.layers.BatchNormalization.call
    try:
        plain = compiled_step()
    finally:
        BatchNormalization.call = own
    pairs = [(plain(), fused()) for _ in range(STEPS)]
    a, b = (min(times) for times in zip(*pairs, strict=True))
    print(f"Keras {a:.3f} s, fused {b:.3f} s a step: {a / b:.2f} times as fast")


if __name__ == "__main__":
    main()
