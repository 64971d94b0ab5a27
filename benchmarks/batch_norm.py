"""A training step of ``edge``, with Keras' batch norm and with the fused kernel.

Run: ``python benchmarks/batch_norm.py``. Prints seconds a step for 8 images of 128 x 128, and the ratio.
"""

from __future__ import annotations

import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import tensorflow as tf

from uml_tf.losses import LossSpec
from uml_tf.networks import UML, preset
from uml_tf.networks.normalization import BatchNormalization
from uml_tf.training.step import StepSpec, TrainStep

BATCH, SIZE, STEPS = 8, 128, 12


def seconds_a_step() -> float:
    """The fastest step of a few."""
    model = UML(preset("edge"), 2, 3, (SIZE, SIZE))
    step = TrainStep(model, keras.optimizers.Adam(1e-3), LossSpec(), StepSpec(), None)
    batch = {
        "image": tf.random.uniform((BATCH, SIZE, SIZE, 3), maxval=255.0),
        "label": tf.constant([0, 1] * (BATCH // 2)),
        "mask": tf.zeros((BATCH, SIZE, SIZE), tf.uint8),
        "has_mask": tf.ones(BATCH),
    }
    times = []
    for _ in range(STEPS):
        start = time.perf_counter()
        float(step(batch, 0)["total"])
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    """Measures both and prints the ratio."""
    fused = seconds_a_step()
    own = BatchNormalization.call
    BatchNormalization.call = keras.layers.BatchNormalization.call
    try:
        plain = seconds_a_step()
    finally:
        BatchNormalization.call = own
    print(f"Keras {plain:.3f} s, fused {fused:.3f} s a step: {plain / fused:.2f} times as fast")


if __name__ == "__main__":
    main()
