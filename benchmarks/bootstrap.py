"""Time and memory of the metrics of many labelled images, for a number of bootstrap resamples, on one core.

Run: ``python benchmarks/bootstrap.py [--masks | --calibration]``. The images are made up: no masks; with what
the metrics need of a mask of 131,000 pixels; or with the counts behind ``calibration.csv`` too, and what is
computed of them. The counts fill as many bins as those of a real network; ``--like MEASURES`` prints both.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice, repeat
from pathlib import Path
from typing import Any

import numpy as np

from uml_tf.evaluation.calibration_stages import counted_calibration
from uml_tf.evaluation.measure import ERRORS_BY, ImageMeasure
from uml_tf.evaluation.measures_file import load_measures
from uml_tf.evaluation.stage_counts import COUNTED, STAGES, stage_counts
from uml_tf.evaluation.statistics import statistics
from uml_tf.metrics.bootstrap import resamples
from uml_tf.metrics.calibration import calibration_histogram
from uml_tf.metrics.error_histogram import error_histogram
from uml_tf.metrics.packed_counts import PackedCounts, packed
from uml_tf.metrics.scores import MASK_SCORES, PIXEL_SCORES

COUNTS_TOGETHER = 1 << 26
PIXELS = 131_000
FILLED = {
    "vacuity": 28,
    "confidence": 92,
    "max_probability": 71,
    "entropy": 44,
    "mutual_information": 29,
    "dissonance": 155,
}
"""Bins of each score's histogram that are not empty, on average over the 106 test images of BUSI."""
_BINS_A_DECADE = 48


def _counts(rng: np.random.Generator, calibration: bool) -> dict[str, PackedCounts]:
    """Of one mask, as ``measure_image`` makes them; with those of the calibration or without."""
    counts = {}
    for name in PIXEL_SCORES:
        place = rng.beta(1.5, 3, PIXELS)
        score = 10 ** (-FILLED[name] / _BINS_A_DECADE * place)
        counts[f"{ERRORS_BY}{name}"] = error_histogram(score, rng.random(PIXELS) < 0.3 * (1 - place) ** 6)
    largest = (0.5 + 0.5 * rng.beta(4, 0.5, PIXELS)).astype(np.float32)
    confidence = (0.25 + 0.75 * rng.beta(4, 0.5, PIXELS)).astype(np.float32)
    correct = rng.random(PIXELS) < confidence
    counts["mask_ece"] = calibration_histogram(confidence, correct)
    if calibration:
        counts |= stage_counts(np.stack([largest, 1 - largest], axis=1), confidence, correct, 1.3)
    return {name: packed(array) for name, array in counts.items()}


def _own(counts: PackedCounts) -> PackedCounts:
    """The same in memory of its own."""
    return replace(counts, deflated=bytes(bytearray(counts.deflated)))


def _masked(rng: np.random.Generator, calibration: bool) -> Iterator[dict[str, Any]]:
    """Yields what a measure has of a mask with one region, of a few masks in turn."""
    some = [_counts(rng, calibration) for _ in range(20)]
    values = ("assd_lesion", "dice_lesion", "false_positive_area_lesion", "hd95_lesion", "iou_lesion")
    while True:
        for counts in some:
            yield {
                "values": {name: rng.random() for name in (*values, "mean_dice")},
                "shares": {"lesion": rng.random()},
                "quality": {"lesion": rng.random()},
                "intervals": {f"area_lesion/{end}": rng.random() for end in ("low", "high", "true")},
                "mask_doubts": {name: rng.random() for name in list(MASK_SCORES)[:4]},
                "counts": {name: _own(one) for name, one in counts.items()},
            }


def _filled(measures: Sequence[ImageMeasure]) -> dict[str, tuple[float, float]]:
    """Name of the counts -> bins that are not empty, and bytes of the packed counts, on average."""
    found = {}
    for name in measures[0].counts:
        counts = [measure.counts[name] for measure in measures if measure.masked]
        bins = [np.asarray(one).any(axis=1).sum() for one in counts]
        size = [len(one.deflated) for one in counts if isinstance(one, PackedCounts)]
        found[name] = (float(np.mean(bins)), float(np.mean(size)))
    return found


def _print_filled(made_up: Sequence[ImageMeasure], real: Path) -> None:
    both = _filled(made_up[:20]), _filled(load_measures(real))
    for name, (bins, size) in both[0].items():
        print(
            f"{name}: {bins:.0f} bins filled, {size:.0f} bytes; "
            f"real: {both[1][name][0]:.0f}, {both[1][name][1]:.0f}"
        )


def _functions(measures: Sequence[ImageMeasure], calibration: bool) -> Mapping[str, Callable[..., Any]]:
    """Name -> from draws of all images to values."""
    found: dict[str, Callable[..., Any]] = {" ".join(one.names): one.values for one in statistics(measures)}
    if calibration:
        stages = [f"{COUNTED}{stage}" for stage in STAGES]
        found |= {name: counted_calibration([m.counts[name] for m in measures]) for name in stages}
    return found


def main() -> None:
    """Prints one line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--resamples", type=int, default=20)
    parser.add_argument("--masks", action="store_true")
    parser.add_argument("--calibration", action="store_true")
    parser.add_argument("--like", type=Path)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    probability = rng.dirichlet([1, 1], options.images)
    labels = rng.random(options.images) < probability[:, 1]
    masks = _masked(rng, options.calibration) if options.masks or options.calibration else repeat({})
    measures = [
        ImageMeasure(
            f"{i}.png", f"s{i}", int(label), p, 0.8 * p, 0.2, class_confidence=float(p.max()), **mask
        )
        for i, (p, label, mask) in enumerate(zip(probability, labels, masks, strict=False))
    ]
    if options.like:
        _print_filled(measures, options.like)
    begun = time.process_time()
    found = _functions(measures, options.calibration)
    once = time.process_time() - begun
    drawn = resamples([measure.resampled_with for measure in measures], options.resamples)
    while some := list(islice(drawn, max(1, COUNTS_TOGETHER // options.images))):
        draws = np.stack(some)
        del some
        for function in found.values():
            function(draws)
    seconds = time.process_time() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{options.images} images, {options.resamples} resamples: {seconds:.1f} s of CPU, {once:.1f} of them "
        f"before the first; peak {peak:.0f} MB"
    )


if __name__ == "__main__":
    main()
