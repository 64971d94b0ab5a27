"""Time and memory of the metrics of many labelled images, for a number of bootstrap resamples, on one core.

Run: ``python benchmarks/bootstrap.py [--masks]``. The images are made up. With ``--masks`` each has the error
histograms of 256 x 256 pixels; without, no mask.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Iterator
from itertools import islice, repeat
from typing import Any

import numpy as np

from uml_tf.evaluation.measure import ERRORS_BY, ImageMeasure
from uml_tf.evaluation.statistics import statistics
from uml_tf.metrics.bootstrap import resamples
from uml_tf.metrics.error_histogram import error_histogram, narrow
from uml_tf.metrics.scores import MASK_SCORES, PIXEL_SCORES

TOGETHER = 10
PIXELS = 256 * 256


def _masked(rng: np.random.Generator) -> Iterator[dict[str, Any]]:
    """Yields what a measure has of a mask, in arrays of its own, of a few masks in turn."""
    some = [rng.random((2, PIXELS)) ** 3 for _ in range(20)]
    found = [narrow(error_histogram(score, chance < score)) for score, chance in some]
    while True:
        for histogram in found:
            yield {
                "values": {"mean_dice": rng.random()},
                "mask_doubts": {name: rng.random() for name in list(MASK_SCORES)[:4]},
                "counts": {f"{ERRORS_BY}{name}": histogram.copy() for name in PIXEL_SCORES},
            }


def main() -> None:
    """Prints one line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--resamples", type=int, default=20)
    parser.add_argument("--masks", action="store_true")
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    probability = rng.dirichlet([1, 1], options.images)
    labels = rng.random(options.images) < probability[:, 1]
    masks = _masked(rng) if options.masks else repeat({})
    measures = [
        ImageMeasure(
            f"{i}.png", f"s{i}", int(label), p, 0.8 * p, 0.2, class_confidence=float(p.max()), **mask
        )
        for i, (p, label, mask) in enumerate(zip(probability, labels, masks, strict=False))
    ]
    begun = time.process_time()
    found = statistics(measures)
    subjects = [measure.resampled_with for measure in measures]
    drawn = resamples(subjects, options.resamples)
    while some := list(islice(drawn, TOGETHER)):
        for one in found:
            one.values(np.stack(some))
    seconds = time.process_time() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    metrics = sum(len(one.names) for one in found)
    print(
        f"{options.images} images, {metrics} metrics: {1000 * seconds / options.resamples:.0f} ms of CPU "
        f"a resample, peak {peak:.0f} MB"
    )


if __name__ == "__main__":
    main()
