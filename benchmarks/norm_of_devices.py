"""What ``--batch-norm device`` does to a training: losses and scores with one, 2 and 8 devices.

Run: ``python benchmarks/norm_of_devices.py [--epochs 8] [--seeds 2] [--set FIELD=VALUE ...]``. One process
trains; every norm divides its batch as the devices would, each part with its own statistics, whose mean the
moving statistics follow. Loss, gradients and order are those of the whole batch, as on devices.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from uml_tf.data.pipeline import load_examples
from uml_tf.networks.normalization import BatchNormalization
from uml_tf.training.build import build_loop
from uml_tf.training.cluster import Cluster
from uml_tf.training.config import TrainingConfig, parse_assignment, with_fields
from uml_tf.training.dataset import open_dataset
from uml_tf.training.display import SILENT

_WHOLE = BatchNormalization._fused


def _divide(devices: int) -> None:
    """Makes every norm take its statistics from each of so many parts of the batch."""

    def of_parts(layer: Any, inputs: Any) -> tuple[Any, Any, Any]:
        parts = [_WHOLE(layer, part) for part in tf.split(inputs, devices)]
        outputs, means, variances = zip(*parts, strict=True)
        return tf.concat(outputs, 0), tf.add_n(means) / devices, tf.add_n(variances) / devices

    BatchNormalization._fused = _WHOLE if devices == 1 else of_parts


def _train(config: TrainingConfig, devices: int) -> tuple[float, float, float, float]:
    """(training loss of the last epoch, largest score, and the accuracy and Dice of that epoch)."""
    _divide(devices)
    dataset = open_dataset(config, SILENT)
    size = (config.image_size, config.image_size)
    splits = {name: load_examples(dataset, name, size, fit=config.fit) for name in ("train", "val")}
    reports = build_loop(config, dataset, splits, SILENT, Cluster.alone()).run()
    best = max(reports, key=lambda report: report.score)
    found = best.validation
    return reports[-1].losses["total"], best.score, found.accuracy, float(np.mean(found.dice))


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--devices", default="1,2,8")
    parser.add_argument("--set", dest="fields", action="append", default=[], metavar="FIELD=VALUE")
    options = parser.parse_args()
    fields = {"epochs": options.epochs, "batch_size": 16, **dict(map(parse_assignment, options.fields))}
    print(f"{fields}\n\n| images of a device | seed | training loss | score | accuracy | Dice |", flush=True)
    print("| --- | --- | --- | --- | --- | --- |")
    for seed in range(options.seeds):
        for devices in map(int, options.devices.split(",")):
            config = with_fields(TrainingConfig(), {**fields, "seed": seed}).resolved()
            row = " | ".join(f"{value:.3f}" for value in _train(config, devices))
            print(f"| {config.batch_size // devices} | {seed} | {row} |", flush=True)
            sys.stdout.flush()


if __name__ == "__main__":
    main()
