"""Training speed in images per second: precisions, XLA and two workers, each in processes of its own.

Run: ``python benchmarks/training.py [--preset edge] [--size 128] [--batch 16]``. The data are random and
in memory; the step is that of the training. Two workers share the processor of this machine: the table shows
what their sums cost, without the gain of a second machine. With a GPU the first form is the CPU.

``--against COMMIT`` compares this tree's step with another commit's instead (``benchmarks/against.py``).
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import time
from typing import Any

from against import compare, serve

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

FORMS = ("float32", "float32 jit", "mixed_bfloat16", "mixed_float16", "2 workers")
STEPS = 12


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", choices=["edge", "edge-pretrained", "released", "paper"], default="edge")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--against", metavar="COMMIT", help="compare with this commit's step")
    parser.add_argument("--blocks", type=int, default=12, help="blocks of steps of each tree, with --against")
    parser.add_argument("--form", help=argparse.SUPPRESS)
    parser.add_argument("--workers", help=argparse.SUPPRESS)
    parser.add_argument("--index", type=int, default=0, help=argparse.SUPPRESS)
    return parser.parse_args()


def _batch(options: argparse.Namespace, count: int) -> dict[str, Any]:
    import numpy as np

    rng, size = np.random.default_rng(0), options.size
    return {
        "image": rng.uniform(0, 255, (count, size, size, 3)).astype(np.float32),
        "label": rng.integers(0, 2, count).astype(np.int32),
        "mask": rng.integers(0, 3, (count, size, size)).astype(np.uint8),
        "has_mask": np.ones(count, np.float32),
    }


def measure(options: argparse.Namespace) -> None:
    """Prints the seconds until the end of the first step, and images per second of the median later one."""
    from uml_tf.training.cluster import Cluster, set_tf_config

    if options.workers:
        set_tf_config(options.workers.split(","), options.index)
    import tensorflow as tf

    from uml_tf.losses import LossSpec
    from uml_tf.networks import UML, preset
    from uml_tf.training.build import _optimizer, _precision
    from uml_tf.training.config import TrainingConfig
    from uml_tf.training.step import StepSpec, TrainStep

    cluster = Cluster.join()
    precision, _, jit = (options.form if options.form in FORMS[:4] else "float32").partition(" ")
    config = TrainingConfig(precision=precision, preset=options.preset).resolved()
    with cluster.strategy.scope():
        with _precision(precision):
            model = UML(preset(options.preset), 2, 3, (options.size, options.size))
        optimizer = _optimizer(config, 100)
        step = TrainStep(model, optimizer, LossSpec(), StepSpec(jit=bool(jit)), None, cluster.strategy)
    own = _batch(options, options.batch // cluster.workers)
    batches = iter(cluster.spread(tf.data.Dataset.from_tensors(own).repeat()))
    start = time.perf_counter()
    float(step(next(batches), 0)["total"])
    first = time.perf_counter() - start
    seconds = []
    for _ in range(STEPS):
        start = time.perf_counter()
        float(step(next(batches), 0)["total"])
        seconds.append(time.perf_counter() - start)
    print(first, options.batch / statistics.median(seconds))


def _run(arguments: list[str], form: str) -> tuple[float, float]:
    environment = {**os.environ, **({"CUDA_VISIBLE_DEVICES": "-1"} if form == "CPU float32" else {})}
    command = [sys.executable, __file__, *arguments, "--form", form]
    extra: list[list[str]] = [[]]
    if form == "2 workers":
        sockets = [socket.socket() for _ in range(2)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        addresses = ",".join(f"127.0.0.1:{one.getsockname()[1]}" for one in sockets)
        for one in sockets:
            one.close()
        extra = [["--workers", addresses, "--index", str(index)] for index in range(2)]
    processes = [
        subprocess.Popen(
            [*command, *more], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
        )
        for more in extra
    ]
    outputs = [process.communicate()[0] for process in processes]
    if not outputs[0].split():
        return float("nan"), float("nan")
    first, rate = (float(word) for word in outputs[0].split()[-2:])
    return first, rate


def main() -> None:
    """Prints the table."""
    options = _options()
    if options.form == "serve":
        serve(options)
        return
    if options.against:
        compare(options, sys.argv[1:])
        return
    if options.form:
        measure(options)
        return
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    print(f"{options.preset}, {options.size} x {options.size}, batch {options.batch}, {len(gpus)} GPUs\n")
    print("| form | images/s | to the first | first step |\n| --- | --- | --- | --- |")
    base = None
    for form in (*(("CPU float32",) if gpus else ()), *FORMS):
        first, rate = _run(sys.argv[1:], form)
        base = base or rate
        print(f"| {form} | {rate:.1f} | {rate / base:.2f} x | {first:.1f} s |", flush=True)


if __name__ == "__main__":
    main()
