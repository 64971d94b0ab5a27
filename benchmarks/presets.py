"""All presets side by side: parameters and GFLOP.

Run: ``python benchmarks/presets.py [--size 256]``. GFLOP is the count of TensorFlow's profiler on the frozen
inference graph (a multiply-add counts as 2). ``benchmarks/device.py`` measures latencies.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf

from uml_tf.networks import PRESETS, UML
from uml_tf.networks.operations import gigaflop


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


def main() -> None:
    """Counts and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=256)
    size = parser.parse_args().size
    print(f"{size} x {size}, one image\n\n| preset | parameters | GFLOP |\n| --- | --- | --- |")
    for name, spec in PRESETS.items():
        model = UML(spec, 2, 3, (size, size))
        print(f"| `{name}` | {model.count_params() / 1e6:.2f} M | {gigaflop(model):.2f} |")


if __name__ == "__main__":
    main()
