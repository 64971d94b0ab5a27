"""Time and memory of the metrics of many labelled images, for a number of bootstrap resamples, on one core.

Run: ``python benchmarks/bootstrap.py``. The images are made up, and have no masks.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np

from uml_tf.evaluation.measure import ImageMeasure
from uml_tf.evaluation.statistics import statistics
from uml_tf.metrics.bootstrap import resamples


def main() -> None:
    """Prints one line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--resamples", type=int, default=20)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    probability = rng.dirichlet([1, 1], options.images)
    labels = rng.random(options.images) < probability[:, 1]
    measures = [
        ImageMeasure(f"{i}.png", f"s{i}", int(label), p, 0.8 * p, 0.2, class_confidence=float(p.max()))
        for i, (p, label) in enumerate(zip(probability, labels, strict=True))
    ]
    begun = time.process_time()
    found = statistics(measures)
    subjects = [measure.resampled_with for measure in measures]
    for draw in resamples(subjects, options.resamples):
        for one in found:
            one.values(draw[None])
    seconds = time.process_time() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    metrics = sum(len(one.names) for one in found)
    print(
        f"{options.images} images, {metrics} metrics: {1000 * seconds / options.resamples:.0f} ms of CPU "
        f"a resample, peak {peak:.0f} MB"
    )


if __name__ == "__main__":
    main()
