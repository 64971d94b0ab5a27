"""The process that measures what a cell costs: ``python -m uml_tf.study.cost_process PIPE``; trains nothing.

A few steps are run on a few images and thrown away; nothing is written.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from uml_tf.study.messages import Reporter, carry_out
from uml_tf.training.config import TrainingConfig, parse_config

_STARTED = time.time()
_STEPS = 5
_VALIDATED = 16
_TESTED = 4


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _step(step: Any, batch: Any) -> float:
    return float(step(batch, 0)["total"])  # waits for the result


def _few(rows: Sequence[Any], count: int) -> list[Any]:
    """Some of the rows, most with a mask, which costs time too; one without, for which there is a teacher."""
    ordered = sorted(rows, key=lambda row: not row.mask)
    return [*ordered[: count - 1], ordered[-1]] if len(ordered) > count else ordered


def _steps_per_epoch(config: TrainingConfig, rows: Sequence[Any]) -> int:
    import numpy as np

    from uml_tf.data.pipeline import Examples, epoch_order

    nothing = np.empty((len(rows), 0), np.uint8)
    has_mask = np.array([bool(row.mask) for row in rows], np.float32)
    examples = Examples(nothing, np.zeros(len(rows), np.int32), nothing, has_mask, tuple(rows))
    order = epoch_order(examples, config.batch_size, config.seed, 0, config.masked_share)
    return len(order) // config.batch_size


def _measure(order: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Parameters, GFLOP of an image, steps of an epoch, and seconds of a whole cell."""
    import numpy as np

    from uml_tf.data.dataset import PreparedDataset
    from uml_tf.data.pipeline import load_examples, training_batches
    from uml_tf.evaluation.evaluate import measure_split
    from uml_tf.networks.operations import gigaflop
    from uml_tf.runtime.model_card import ModelCard
    from uml_tf.training.build import build_loop
    from uml_tf.training.cluster import Cluster
    from uml_tf.training.display import SILENT
    from uml_tf.training.locator import open_locator
    from uml_tf.training.validation import validate

    config = parse_config(order["config"], "config of the cell", {})
    dataset = PreparedDataset.open(Path(order["root"]))
    rows = {split: dataset.split(split) for split in ("train", "val", "test")}
    counts = {"train": 2 * config.batch_size, "val": _VALIDATED, "test": _TESTED}
    few = replace(dataset, rows=tuple(row for split, n in counts.items() for row in _few(rows[split], n)))
    size = (config.image_size, config.image_size)
    reading = time.perf_counter()
    splits = {split: load_examples(few, split, size, fit=config.fit) for split in ("train", "val")}
    per_read = (time.perf_counter() - reading) / sum(map(len, splits.values()))
    locator = open_locator(config.roi)
    roi = None if locator is None else locator.roi
    loop = build_loop(config, few, splits, SILENT, Cluster.alone(), roi)
    images = np.resize(np.arange(len(splits["train"])), (_STEPS + 1) * config.batch_size)
    stream = training_batches(splits["train"], images, config.batch_size, loop.augmentation)
    times = [_seconds(partial(_step, loop.step, batch)) for batch in stream]
    validate(loop.predictor, splits["val"])  # compiles
    ready = time.time() - _STARTED - sum(times[1:])
    per_validated = _seconds(lambda: validate(loop.predictor, splits["val"])) / len(splits["val"])
    info = dataset.info
    loop.step.model.card = ModelCard(info.image_classes, info.pixel_classes, fit=config.fit)
    tested = len(few.split("test"))
    per_tested = _seconds(lambda: measure_split(loop.predictor, few, "test")) / tested
    steps = _steps_per_epoch(config, rows["train"])
    per_step = float(np.mean(times[1:]))
    epoch = steps * per_step + len(rows["val"]) * per_validated
    read = (len(rows["train"]) + len(rows["val"])) * per_read
    return {
        "parameters": loop.step.model.count_params(),
        "gigaflop": gigaflop(loop.step.model),
        "steps": steps,
        "step_seconds": per_step,
        "seconds": ready + read + config.epochs * epoch + len(rows["test"]) * per_tested,
    }


if __name__ == "__main__":
    carry_out(_measure)
