"""Compares the training step of this tree with that of another commit, in blocks of steps that alternate.

Run by ``benchmarks/training.py --against COMMIT``. Each tree has a process of its own that waits while the
other one works, so that what else the machine does meets both alike.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

from other_commit import ROOT, tree_of

STEPS = 20
"""Steps whose losses are compared."""
RATE = 1e-7
"""Learning rate of Adam. Its first steps are as long for a gradient of 1e-9 as for one of 1, which makes
rounding large: at 1e-3 two runs of one commit with other thread counts differ by .02 after two steps."""
BLOCK = 15


def training_step(options: Namespace) -> Any:
    """A function that does one training step and returns its total loss."""
    import keras
    import numpy as np
    import tensorflow as tf

    try:
        from uml_tf.training.threads import prefer_parallel_operations
    except ImportError:  # a commit before there was one
        pass
    else:
        prefer_parallel_operations()
    from uml_tf.losses import LossSpec
    from uml_tf.networks import UML, preset
    from uml_tf.training.averaging import WeightAverage
    from uml_tf.training.step import StepSpec, TrainStep

    keras.utils.set_random_seed(0)
    model = UML(preset(options.preset), 2, 3, (options.size, options.size))
    average = WeightAverage(model.variables, 0.99)
    loss = LossSpec(dice_over="image")
    step = TrainStep(model, keras.optimizers.Adam(RATE), loss, StepSpec(), average)
    rng, count, side = np.random.default_rng(0), options.batch, options.size
    batch = {
        "image": tf.constant(rng.uniform(0, 255, (count, side, side, 3)).astype(np.float32)),
        "label": tf.constant(rng.integers(0, 2, count).astype(np.int32)),
        "mask": tf.constant(rng.integers(0, 3, (count, side, side)).astype(np.uint8)),
        "has_mask": tf.ones(count),
    }
    return lambda: float(step(batch, 0)["total"])


def serve(options: Namespace) -> None:
    """Does as many steps as each line of the input says; answers with their losses and seconds."""
    step = training_step(options)
    for line in sys.stdin:
        losses, seconds, cpu = [], [], time.process_time()
        for _ in range(int(line)):
            start = time.perf_counter()
            losses.append(step())
            seconds.append(time.perf_counter() - start)
        cpu = time.process_time() - cpu
        print(json.dumps({"losses": losses, "seconds": seconds, "cpu": cpu / int(line)}), flush=True)


class _Tree:
    """The process of one tree."""

    def __init__(self, root: Path, arguments: list[str]) -> None:
        environment = {**os.environ, "PYTHONPATH": str(root)}
        self._process = subprocess.Popen(
            [sys.executable, str(ROOT / "benchmarks/training.py"), *arguments, "--form", "serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
            cwd=root,
        )
        self.seconds: list[float] = []
        self.cpu: list[float] = []

    def block(self, steps: int) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(steps, file=self._process.stdin, flush=True)
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def timed_block(self) -> float:
        answer = self.block(BLOCK)
        self.seconds += answer["seconds"]
        self.cpu.append(answer["cpu"])
        return statistics.median(answer["seconds"])

    def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def compare(options: Namespace, arguments: list[str]) -> None:
    """Prints the table: the other commit's tree against this one."""
    with tree_of(options.against) as other:
        _print_table(options, [_Tree(root, arguments) for root in (other, ROOT)])


def _print_table(options: Namespace, trees: list[_Tree]) -> None:
    losses = [tree.block(STEPS)["losses"] for tree in trees]
    ratios = []
    for _ in range(options.blocks):
        before, after = (tree.timed_block() for tree in trees)
        ratios.append(before / after)
    for tree in trees:
        tree.end()
    print(
        f"{options.preset}, {options.size} x {options.size}, batch {options.batch}, "
        f"{len(ratios)} blocks of {BLOCK} steps\n"
    )
    print("| tree | median step | CPU time of a step | images/s |\n| --- | --- | --- | --- |")
    for name, tree in zip((options.against, "this tree"), trees, strict=True):
        median = statistics.median(tree.seconds)
        cpu = statistics.median(tree.cpu)
        print(f"| {name} | {median * 1e3:.1f} ms | {cpu * 1e3:.1f} ms | {options.batch / median:.1f} |")
    difference = max(abs(a - b) / abs(a) for a, b in zip(*losses, strict=True))
    low, high = min(ratios), max(ratios)
    print(f"\nMedian ratio of neighbouring blocks {statistics.median(ratios):.2f} ({low:.2f} to {high:.2f}).")
    print(f"Largest relative difference of the total loss in {STEPS} steps: {difference:.1e}.")
