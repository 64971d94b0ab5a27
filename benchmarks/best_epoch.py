"""The epoch that the validation score keeps, against the former score, and its results on the test split.

Run: ``python benchmarks/best_epoch.py --out FOLDER [--data DIR --config YAML] [--seeds N] [--epochs N]``
trains with seeds 0 to N - 1 (without ``--data`` on 300 phantoms), saves the outputs of the averaged weights
of every epoch on the validation and the test split in FOLDER/seedS.npz, and prints the table. Existing
recordings are reused.

The former score is the mean of balanced accuracy and pooled Dice. "chosen" is by the validation split as it
is; "mean" is the mean over 400 bootstrap resamples of it: the choice should not depend on single images.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Recording = dict[str, Array]

SPLITS = ("val", "test")
RESAMPLES = 400


def _outputs(predictor: Any, examples: Any) -> Recording:
    """Class probability ``(N, K)``; ``(N, C - 1, 3)`` overlap, predicted and true pixels by region."""
    probability, counts = [], []
    for place, batch in predictor.over(examples):
        probability.append(batch["class_probability"])
        found, truth = batch["mask_probability"].argmax(axis=-1), examples.masks[place]
        rows = []
        for c in range(1, batch["mask_probability"].shape[-1]):
            parts = ((found == c) & (truth == c), found == c, truth == c)
            rows.append(np.stack([part.sum(axis=(1, 2)) for part in parts], axis=-1))
        counts.append(np.stack(rows, axis=1))
    return {"probability": np.concatenate(probability), "counts": np.concatenate(counts)}


def record(options: argparse.Namespace, seed: int, path: Path) -> None:
    """Trains once and saves the outputs of every epoch."""
    from uml_tf.data.converters.phantom import PhantomOptions
    from uml_tf.data.dataset import PreparedDataset
    from uml_tf.data.phantom_cache import cached_phantoms
    from uml_tf.data.pipeline import load_examples
    from uml_tf.training.build import build_loop
    from uml_tf.training.cluster import Cluster
    from uml_tf.training.config import load_config
    from uml_tf.training.display import SILENT
    from uml_tf.training.loop import Listener

    fields = {"seed": seed, "image_size": options.image_size}
    if options.epochs:
        fields["epochs"] = options.epochs
    config = load_config(options.config, fields).resolved()
    if options.data is None:
        drawn = PhantomOptions(images=300, seed=seed, size=options.image_size)
        dataset = cached_phantoms(options.out / f"phantoms{seed}", drawn)
    else:
        dataset = PreparedDataset.open(options.data)
    size = (config.image_size, config.image_size)
    splits = {name: load_examples(dataset, name, size, fit=config.fit) for name in ("train", *SPLITS)}
    loop = build_loop(config, dataset, splits, SILENT, Cluster.alone())
    recorded: dict[str, list[Array]] = {}

    def epoch(report: Any) -> None:
        with loop.step.average.applied():
            for split in SPLITS:
                for name, value in _outputs(loop.predictor, splits[split]).items():
                    recorded.setdefault(f"{split}/{name}", []).append(value)

    loop.listener = Listener(epoch=epoch)
    loop.run()
    arrays = {name: np.stack(values) for name, values in recorded.items()}
    for split in SPLITS:
        arrays[f"{split}/labels"] = splits[split].labels
        arrays[f"{split}/has_mask"] = splits[split].has_mask
    np.savez(path, **arrays)


def _select(recording: Recording, split: str, resample: Callable[[int], Array]) -> tuple[Array, Array, Array]:
    """Labels, probability by epoch and pixel counts by epoch of (resampled) labelled and masked images."""
    labels = recording[f"{split}/labels"]
    labelled, masked = np.flatnonzero(labels >= 0), np.flatnonzero(recording[f"{split}/has_mask"] > 0)
    labelled, masked = labelled[resample(len(labelled))], masked[resample(len(masked))]
    probability, counts = (recording[f"{split}/{name}"] for name in ("probability", "counts"))
    return labels[labelled], probability[:, labelled], counts[:, masked, :, :3]


def _validations(labels: Array, probability: Array, counts: Array) -> list[Any]:
    from uml_tf.training.validation import Validation, class_results, mean_of_known

    overlap, predicted, true = np.moveaxis(counts, -1, 0).astype(float)
    dice = np.where(true > 0, 2 * overlap / np.maximum(predicted + true, 1), np.nan)
    return [
        Validation(*class_results(labels, p), tuple(mean_of_known(list(c)) for c in d.T), 0.5, 0.5)
        for p, d in zip(probability, dice, strict=True)
    ]


def _former_scores(validations: list[Any], counts: Array) -> Array:
    overlap, predicted, true = np.moveaxis(counts.sum(axis=1), -1, 0).astype(float)
    total = predicted + true
    pooled = np.where(total > 0, 2 * overlap / np.maximum(total, 1), np.nan).mean(axis=1)
    return (np.array([v.balanced_accuracy for v in validations]) + pooled) / 2


def _chosen(recording: Recording, resample: Callable[[int], Array]) -> tuple[int, int]:
    """The epoch that the former and the present score keep."""
    from uml_tf.training.validation import smoothed_score

    labels, probability, counts = _select(recording, "val", resample)
    validations = _validations(labels, probability, counts)
    present = [smoothed_score(validations[: epoch + 1]) for epoch in range(len(validations))]
    return int(np.nanargmax(_former_scores(validations, counts))), int(np.nanargmax(present))


def compare(path: Path) -> None:
    """Prints the rows of one recording."""
    recording = dict(np.load(path))
    tests = _validations(*_select(recording, "test", np.arange))
    rng = np.random.default_rng(0)
    resampled = [_chosen(recording, lambda n: rng.integers(0, n, n)) for _ in range(RESAMPLES)]
    for which, name in enumerate(("former", "present")):
        epoch = _chosen(recording, np.arange)[which]
        for how, epochs in (("chosen", [epoch]), ("mean", [pair[which] for pair in resampled])):
            accuracy, likelihood, dice = (
                np.mean([value(tests[e]) for e in epochs])
                for value in (
                    lambda v: v.balanced_accuracy,
                    lambda v: v.likelihood,
                    lambda v: np.nanmean(v.dice),
                )
            )
            print(
                f"| {path.stem} | {name}, {how} | {np.mean(epochs) + 1:.1f} of {len(tests)} | "
                f"{accuracy:.3f} | {likelihood:.3f} | {dice:.3f} |"
            )


def main() -> None:
    """Records where needed, then prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--config", type=Path)
    parser.add_argument("--image-size", type=int, default=96)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--epochs", type=int)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    paths = [options.out / f"seed{seed}.npz" for seed in range(options.seeds)]
    for seed, path in enumerate(paths):
        if not path.exists():
            record(options, seed, path)
    print("| training | score | epoch | test balanced accuracy | test likelihood | test Dice |")
    print("| --- | --- | --- | --- | --- | --- |")
    for path in paths:
        compare(path)


if __name__ == "__main__":
    main()
