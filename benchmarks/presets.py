"""The three presets side by side: parameters, GFLOP and CPU latency.

Run: ``python benchmarks/presets.py [--size 256]``. GFLOP is TensorFlow's profiler's count on the frozen
inference graph (a multiply-add is 2). Latency is the best of several runs of one image; the floor is the
GFLOP at the rate of a large float32 matrix product, measured in the same run.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from uml_tf.networks import PRESETS, UML


def best_time(call: Callable[[], object], repeats: int) -> float:
    """Seconds of the fastest of several calls, after one to warm up."""
    call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def matrix_gigaflops() -> float:
    """GFLOP/s of a 2048 x 2048 float32 matrix product."""
    a = tf.random.normal((2048, 2048))
    product = tf.function(lambda: tf.linalg.matmul(a, a))
    return 2 * 2048**3 / best_time(lambda: product().numpy(), 5) / 1e9


def gigaflop(concrete: object) -> float:
    """The profiler's count for a concrete function."""
    frozen = convert_variables_to_constants_v2(concrete)
    options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
    options["output"] = "none"
    return tf.compat.v1.profiler.profile(frozen.graph, options=options).total_float_ops / 1e9


def main() -> None:
    """Measures and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=256)
    size = parser.parse_args().size
    rate = matrix_gigaflops()
    image = tf.constant(np.random.default_rng(0).uniform(0, 255, (1, size, size, 3)), tf.float32)
    rows = []
    for name, spec in PRESETS.items():
        model = UML(spec, 2, 3, (size, size))
        inference = tf.function(lambda x, model=model: model(x, training=False))
        concrete = inference.get_concrete_function(tf.TensorSpec(image.shape, tf.float32))
        seconds = best_time(lambda c=concrete: c(image)["class_belief"].numpy(), 5)
        rows.append((name, model.count_params(), gigaflop(concrete), seconds))
    slowest = max(row[3] for row in rows)
    print(f"{size} x {size}, one image, {os.cpu_count()} CPU cores, matrix product {rate:.0f} GFLOP/s\n")
    print("| preset | parameters | GFLOP | latency | of the floor | to the slowest |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, parameters, flop, seconds in rows:
        floor = flop / rate
        print(
            f"| {name} | {parameters / 1e6:.2f} M | {flop:.2f} | {seconds * 1e3:.0f} ms "
            f"| {seconds / floor:.1f} x | {slowest / seconds:.0f} x as fast |"
        )


if __name__ == "__main__":
    main()
