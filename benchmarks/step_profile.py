"""Where the time of a training step goes: milliseconds and calls of every kind of operation, on one core.

Run: ``TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1 python benchmarks/step_profile.py [--preset edge]
[--batch 8]``. On more cores the operations of one core wait for each other, and their times overlap.
"""

from __future__ import annotations

import argparse
import os
import re
import tempfile
from collections import Counter
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from against import training_step

STEPS = 4
_NOT_OPERATIONS = {"Run", "Process", "Start", "Execute"}


def _count(folder: Path) -> tuple[Counter[str], Counter[str]]:
    """Milliseconds and calls of a step by kind of operation."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    space = xplane_pb2.XSpace()
    (trace,) = folder.rglob("*.xplane.pb")
    space.ParseFromString(trace.read_bytes())
    spent, calls = Counter[str](), Counter[str]()
    for plane in space.planes:
        for event in (event for line in plane.lines for event in line.events):
            named = re.fullmatch(r".*:(\w+)", plane.event_metadata[event.metadata_id].name)
            if named and named[1] not in _NOT_OPERATIONS:
                spent[named[1]] += event.duration_ps / 1e9 / STEPS
                calls[named[1]] += 1
    return spent, calls


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="edge-pretrained")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rows", type=int, default=24)
    options = parser.parse_args()
    import tensorflow as tf

    step = training_step(options)
    for _ in range(3):
        step()
    with tempfile.TemporaryDirectory() as folder:
        tf.profiler.experimental.start(folder)
        for _ in range(STEPS):
            step()
        tf.profiler.experimental.stop()
        spent, calls = _count(Path(folder))
    print("| operation | ms a step | calls a step |\n| --- | --- | --- |")
    for name, milliseconds in spent.most_common(options.rows):
        print(f"| {name} | {milliseconds:.2f} | {calls[name] / STEPS:.0f} |")


if __name__ == "__main__":
    main()
