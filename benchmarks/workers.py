"""Two workers on one machine, with one core each, against one process on both cores.

Run: ``python benchmarks/workers.py [--preset edge] [--size 128] [--batch 16] [--cores 0,1]``. The processes
work in turn, in blocks of steps that alternate, so that what else the machine does meets all alike. The step
is that of the training, on random images in memory; one batch is shared by the workers.

The table tells, beside the images per second, the CPU time of an image over all processes: on a machine whose
cores are taken by other work the ratio of these is the one to read. It leaves out only the time in which a
worker waits for the other one.

A process that ends, or that gives no answer for ten minutes, ends all with one line.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from typing import IO, Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

FORMS = {"one process": "global", "2 workers, global": "global", "2 workers, device": "device"}
LOSSES = 10
LONGEST = 600
"""Seconds without an answer after which a process is taken to hang."""
BLOCK = 10
RATE = 1e-7
"""As in ``against.py``: Adam's first steps make rounding large."""


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="edge")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--batch", type=int, default=16, help="images of a step, over both workers")
    parser.add_argument("--blocks", type=int, default=8)
    parser.add_argument(
        "--cores", default="0,1", help="the two cores; the same twice for both workers on one"
    )
    parser.add_argument("--form", choices=FORMS, help=argparse.SUPPRESS)
    parser.add_argument("--workers", help=argparse.SUPPRESS)
    parser.add_argument("--index", type=int, default=0, help=argparse.SUPPRESS)
    return parser.parse_args()


def _batch(options: argparse.Namespace) -> dict[str, Any]:
    """This worker's rows of the batch that one process has."""
    import numpy as np

    rng, count, side = np.random.default_rng(0), options.batch, options.size
    batch = {
        "image": rng.uniform(0, 255, (count, side, side, 3)).astype(np.float32),
        "label": rng.integers(0, 2, count).astype(np.int32),
        "mask": rng.integers(0, 3, (count, side, side)).astype(np.uint8),
        "has_mask": np.ones(count, np.float32),
    }
    if not options.workers:
        return batch
    return {name: np.split(rows, 2)[options.index] for name, rows in batch.items()}


def _sums(step: Any, batch: Any) -> tuple[int, int]:
    """Number and values of the sums over workers in a step."""
    import tensorflow as tf

    graph = step._compiled.get_concrete_function(batch, tf.constant(0.0)).graph
    found = [op for op in graph.get_operations() if op.type.startswith("CollectiveReduce")]
    return len(found), sum(op.outputs[0].shape.num_elements() or 1 for op in found)


def serve(options: argparse.Namespace) -> None:
    """Does as many steps as each line of the input says; answers with their losses, seconds and CPU time."""
    from uml_tf.training.cluster import Cluster, set_tf_config

    if options.workers:
        set_tf_config(options.workers.split(","), options.index)
    import keras
    import tensorflow as tf

    from uml_tf.losses import LossSpec
    from uml_tf.networks import UML, preset
    from uml_tf.training.averaging import WeightAverage
    from uml_tf.training.step import StepSpec, TrainStep

    cluster = Cluster.join()
    keras.utils.set_random_seed(0)
    with cluster.strategy.scope():
        model = UML(preset(options.preset), 2, 3, (options.size, options.size))
        average = WeightAverage(model.variables, 0.99)
        spec = StepSpec(batch_norm=FORMS[options.form])
        adam = keras.optimizers.Adam(RATE)
        step = TrainStep(model, adam, LossSpec(dice_over="image"), spec, average, cluster.strategy)
    data = tf.data.Dataset.from_tensors(_batch(options)).repeat()
    batches = iter(cluster.spread(data))
    print(json.dumps({"sums": _sums(step, next(batches))}), flush=True)
    for line in sys.stdin:
        losses, seconds, cpu = [], [], time.process_time()
        for _ in range(int(line)):
            start = time.perf_counter()
            losses.append(float(step(next(batches), 0)["total"]))
            seconds.append(time.perf_counter() - start)
        cpu = time.process_time() - cpu
        print(json.dumps({"losses": losses, "seconds": seconds, "cpu": cpu / int(line)}), flush=True)


class _Process:
    """A process that gives an answer of one line for each line that it is told.

    Args:
        name: of it, for messages.
        command: what it runs.
        cores: that it may use.
    """

    def __init__(self, name: str, command: list[str], cores: list[int]) -> None:
        self._name = name
        self._errors: IO[str] = tempfile.TemporaryFile("w+")  # noqa: SIM115 (as long as the process)
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
        )

    def tell(self, what: object) -> None:
        """Writes a line to the process."""
        assert self._process.stdin
        try:
            print(what, file=self._process.stdin, flush=True)
        except BrokenPipeError:
            raise self._ended() from None

    def answer(self) -> dict[str, Any]:
        """The process's next answer.

        Raises:
            SystemExit: it has ended, or gave none for so long.
        """
        assert self._process.stdout
        if not select.select([self._process.stdout], [], [], LONGEST)[0]:
            raise SystemExit(f"{self._name}: found no answer in {LONGEST} s, expected the times of its steps")
        line = self._process.stdout.readline()
        if not line:
            raise self._ended()
        found: dict[str, Any] = json.loads(line)
        return found

    def _ended(self) -> SystemExit:
        code = self._process.wait()
        self._errors.seek(0)
        last = (self._errors.read().strip().splitlines() or ["no message"])[-1]
        return SystemExit(f"{self._name}: found that it ended with exit code {code} ({last})")

    def end(self) -> None:
        """Ends the process, which ends by itself where it waits to be told more."""
        assert self._process.stdin
        try:
            self._process.stdin.close()
            self._process.wait(10)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()


class _Form:
    """The processes of one form."""

    def __init__(self, form: str, cores: list[int]) -> None:
        self.name = form
        extra: list[list[str]] = [[]]
        pinned = [cores]
        if form != "one process":
            addresses = ",".join(f"127.0.0.1:{port}" for port in _free_ports(2))
            extra = [["--workers", addresses, "--index", str(index)] for index in range(2)]
            pinned = [[core] for core in cores]
        self._processes = [
            _Process(
                f"{form}, process {number}",
                [sys.executable, __file__, *sys.argv[1:], "--form", form, *more],
                own,
            )
            for number, (more, own) in enumerate(zip(extra, pinned, strict=True))
        ]
        self.sums = (0, 0)
        self.seconds: list[float] = []
        self.cpu: list[float] = []

    def wait(self) -> None:
        """Until the step is traced."""
        self.sums = self._answers()[0]["sums"]

    def _answers(self) -> list[dict[str, Any]]:
        return [process.answer() for process in self._processes]

    def block(self, steps: int) -> list[dict[str, Any]]:
        for process in self._processes:
            process.tell(steps)
        return self._answers()

    def timed_block(self) -> tuple[float, float]:
        """Median seconds of a step, and CPU seconds of a step in all processes."""
        answers = self.block(BLOCK)
        self.seconds += answers[0]["seconds"]
        self.cpu.append(sum(answer["cpu"] for answer in answers))
        return statistics.median(answers[0]["seconds"]), self.cpu[-1]

    def end(self) -> None:
        for process in self._processes:
            process.end()


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _print_table(options: argparse.Namespace, forms: list[_Form]) -> None:
    for form in forms:
        form.wait()
    losses = [form.block(LOSSES)[0]["losses"] for form in forms]
    blocks = [[form.timed_block() for form in forms] for _ in range(options.blocks)]
    print(
        f"{options.preset}, {options.size} x {options.size}, batch {options.batch}, cores {options.cores}\n"
    )
    print("| form | images/s | to one process | CPU ms an image | to one process | sums a step | values |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for index, form in enumerate(forms):
        wall, cpu = (statistics.median(b[0][k] / b[index][k] for b in blocks) for k in (0, 1))
        rate = options.batch / statistics.median(form.seconds)
        spent = statistics.median(form.cpu) * 1e3 / options.batch
        sums, values = form.sums
        print(f"| {form.name} | {rate:.1f} | {wall:.2f} | {spent:.1f} | {cpu:.2f} | {sums} | {values} |")
    for form, found in zip(forms[1:], losses[1:], strict=True):
        difference = max(abs(a - b) / abs(a) for a, b in zip(losses[0], found, strict=True))
        print(f"\n{form.name}: largest relative difference of the loss in {LOSSES} steps {difference:.1e}.")


def main() -> None:
    """Prints the table."""
    options = _options()
    if options.form:
        serve(options)
        return
    cores = [int(core) for core in options.cores.split(",")]
    forms = [_Form(form, cores) for form in FORMS]
    try:
        _print_table(options, forms)
    finally:
        for form in forms:
            form.end()


if __name__ == "__main__":
    main()
