"""What an answer of one exported network costs beside that of another, in turn on the same machine.

Run: ``python benchmarks/two_files.py FIRST.tflite SECOND.tflite [--rounds 200]``. Each round is one answer of
each file, with all outputs of the contract, on the same random image; the order within a round alternates.
What else the machine does meets both alike, so the ratio counts and the milliseconds say little.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import numpy as np

from uml_tf.runtime.device_model import DeviceModel


def main() -> None:
    """Prints the median milliseconds of both files and the median of the rounds' ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    parser.add_argument("--rounds", type=int, default=200)
    options = parser.parse_args()
    models = [DeviceModel(options.first), DeviceModel(options.second)]
    images = np.random.default_rng(0).uniform(0, 255, (1, *models[0].image_size, 3)).astype(np.float32)
    for model in models:
        model(images)
    seconds: list[list[float]] = [[], []]
    for number in range(options.rounds):
        for place in (0, 1) if number % 2 else (1, 0):
            start = time.perf_counter()
            models[place](images)
            seconds[place].append(time.perf_counter() - start)
    for path, values in zip((options.first, options.second), seconds, strict=True):
        print(f"{path}: {statistics.median(values) * 1e3:.2f} ms, fastest {min(values) * 1e3:.2f} ms")
    ratios = [first / second for first, second in zip(*seconds, strict=True)]
    of_fastest = min(seconds[0]) / min(seconds[1])
    print(f"first / second: {statistics.median(ratios):.3f} of a round, {of_fastest:.3f} of the fastest")


if __name__ == "__main__":
    main()
