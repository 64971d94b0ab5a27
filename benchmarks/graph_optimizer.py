"""Compares a training step with and without TensorFlow's optimizer of graphs (Grappler), in one process.

Steps of both forms alternate in blocks, and times are CPU times; on one thread with
``TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1``. The form that is called second has its trace, and what
XLA compiled, from the first one.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext

from against import training_step

BLOCK = 4
FORMS = ("with", "without")


def _seconds(step: Callable[[], float]) -> float:
    start = time.process_time()
    step()
    return time.process_time() - start


def main() -> None:
    """Prints first call, median step and the median ratio of neighbouring blocks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="edge")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--first", choices=FORMS, default="without", help="Which form is traced first.")
    options = parser.parse_args()

    from uml_tf.training import step as step_module
    from uml_tf.training.graph_optimizer import graphs_as_traced

    forms = dict(zip(FORMS, (nullcontext, graphs_as_traced), strict=True))
    vars(step_module)["graphs_as_traced"] = nullcontext  # the forms are set here
    step = training_step(options)
    seconds: dict[str, list[float]] = {form: [] for form in FORMS}
    for form in sorted(FORMS, key=lambda form: form != options.first):
        with forms[form]():
            print(f"{form} Grappler, first call: {_seconds(step):.2f} s", flush=True)
    ratios = []
    for _ in range(options.rounds):
        for form, graphs in forms.items():
            with graphs():
                step()
                seconds[form] += [_seconds(step) for _ in range(BLOCK)]
        ratios.append(
            statistics.median(seconds["without"][-BLOCK:]) / statistics.median(seconds["with"][-BLOCK:])
        )
    for form, values in seconds.items():
        print(f"{form} Grappler, step: {statistics.median(values) * 1e3:.1f} ms")
    print(f"ratio of blocks: {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})")


if __name__ == "__main__":
    main()
