"""The epoch that is kept, beside other ways to choose one, and its results on the test split.

Run: ``python benchmarks/best_epoch.py --out FOLDER [--data DIR --config YAML] [--seeds N] [--epochs N]``
trains with seeds 0 to N - 1 (without ``--data`` on 300 phantoms), saves the outputs of the averaged weights
of every epoch on the validation and the test split in FOLDER/seedS.npz, and prints the table. Existing
recordings are reused. ``python benchmarks/best_epoch.py --recorded FOLDER/seed0.npz ...`` prints the table of
recordings alone, as that of one set of test images, e.g. of folds.

"highest, as it is": the former choice, the highest score, of probabilities before any temperature; "highest":
the highest score; "kept": what a training keeps. "resampled" is the mean over 100 bootstrap resamples of the
validation split, by subject: the choice should not depend on single ones. The probabilities that are measured
are those after the temperature of the validation images, where they are enough to fit one. Of several
recordings accuracy and log-loss are of all their test images, AUC and Dice means of the recordings'.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from numpy.typing import NDArray

from uml_tf.runtime.regions import class_is_known

Array = NDArray[Any]
Recording = dict[str, Array]

SPLITS = ("val", "test")
RESAMPLES = 100
CHOICES = ("highest, as it is", "highest", "kept", "the last")


def _outputs(predictor: Any, examples: Any) -> Recording:
    """Class probability ``(N, K)``; ``(N, C - 1, 3)`` overlap, predicted and true pixels by region."""
    probability, counts = [], []
    for place, batch in predictor.over(examples):
        probability.append(batch["class_probability"])
        truth = examples.masks[place]
        found = np.where(class_is_known(truth), batch["mask_probability"].argmax(axis=-1), 0)
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

    fields = {"seed": seed}
    if options.data is None:
        fields["image_size"] = options.image_size
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
        arrays[f"{split}/subjects"] = np.array([row.subject for row in splits[split].rows])
    np.savez(path, **arrays)


def _dice(counts: Array) -> Array:
    """Dice ``(E, N, R)`` of every epoch, nan where the truth is empty."""
    overlap, predicted, true = np.moveaxis(counts[..., :3].astype(float), -1, 0)
    return np.where(true > 0, 2 * overlap / np.maximum(predicted + true, 1), np.nan)


@dataclass(frozen=True)
class Outputs:
    """One split: of its N images labels, -1 without one, and subjects ``(N,)``; of every epoch their
    probability ``(E, N, K)`` and Dice ``(E, N, R)``, nan without a mask.
    """

    labels: Array
    subjects: Array
    probability: Array
    dice: Array

    @classmethod
    def of(cls, recording: Recording, split: str) -> Outputs:
        """That of a recording."""
        labels, subjects, has_mask, probability, counts = (
            recording[f"{split}/{name}"]
            for name in ("labels", "subjects", "has_mask", "probability", "counts")
        )
        return cls(labels, subjects, probability, np.where(has_mask[:, None] > 0, _dice(counts), np.nan))

    @property
    def labelled(self) -> Array:
        """The places of the images with a label."""
        return np.flatnonzero(self.labels >= 0)

    def resampled(self, rng: Any) -> Outputs:
        """The images of as many subjects, drawn with replacement; with two classes at least."""
        names = np.unique(self.subjects)
        while True:
            drawn = [np.flatnonzero(self.subjects == name) for name in rng.choice(names, len(names))]
            places = np.concatenate(drawn)
            if len(np.unique(self.labels[places])) > 1:
                break
        own = np.repeat([f"{index}" for index in range(len(drawn))], [len(part) for part in drawn])
        return Outputs(self.labels[places], own, self.probability[:, places], self.dice[:, places])


def _scores(val: Outputs) -> list[Any]:
    """The score of each epoch, as a training has it."""
    from uml_tf.training.epoch_choice import EpochScore
    from uml_tf.training.validation import class_results, dice_influence, influence_of_subjects, mean_of_known

    scores, places = [], np.arange(len(val.labels))
    for probability, dice in zip(val.probability, val.dice, strict=True):
        found = class_results(val.labels[val.labelled], probability[val.labelled])
        region = mean_of_known([mean_of_known(list(column)) for column in dice.T])
        parts = [(val.labelled, found.influence), (places, dice_influence(dice))]
        influence = influence_of_subjects(parts, list(val.subjects))
        scores.append(EpochScore((found.likelihood + region) / 2, influence))
    return scores


def _former_scores(val: Outputs) -> Array:
    """The score of each epoch by the probabilities as they are, averaged over three epochs."""
    labels = val.labels[val.labelled]
    own = np.take_along_axis(val.probability[:, val.labelled].astype(float), labels[None, :, None], axis=2)[
        ..., 0
    ]
    logarithm = np.log(np.maximum(own, 1e-12))
    likelihood = np.exp(np.mean([logarithm[:, labels == c].mean(axis=1) for c in np.unique(labels)], axis=0))
    score = (likelihood + np.nanmean(np.nanmean(val.dice, axis=1), axis=-1)) / 2
    return np.array([score[max(0, e - 2) : e + 1].mean() for e in range(len(score))])


def _chosen(val: Outputs) -> dict[str, int]:
    """The epoch of each of ``CHOICES``."""
    from uml_tf.training.epoch_choice import EpochChoice

    choice, kept = EpochChoice(), 0
    for epoch, score in enumerate(_scores(val)):
        if choice.add(epoch, score)[1]:
            kept = epoch
    found = (int(_former_scores(val).argmax()), choice.best_epoch, kept, len(val.probability) - 1)
    return dict(zip(CHOICES, found, strict=True))


def _measured(parts: list[tuple[Outputs, Outputs, int]]) -> tuple[float, ...]:
    """Accuracy, AUC, log-loss and Dice of the test images of several recordings."""
    from uml_tf.metrics.classification import auc
    from uml_tf.runtime.contract import tempered
    from uml_tf.training.validation import temperature_of

    right, areas, losses, dice = [], [], [], []
    for val, test, epoch in parts:
        seen, labels = val.labels[val.labelled], test.labels[test.labelled]
        temperature = temperature_of(seen, val.probability[epoch][val.labelled])
        probability = tempered(test.probability[epoch][test.labelled].astype(float), temperature)
        right.append(probability.argmax(axis=1) == labels)
        areas.append(auc(labels, probability))
        losses.append(-np.log(np.maximum(probability[np.arange(len(labels)), labels], 1e-12)))
        dice.append(np.nanmean(np.nanmean(test.dice[epoch], axis=0)))
    pooled = [float(np.concatenate(values).mean()) for values in (right, losses)]
    return pooled[0], float(np.mean(areas)), pooled[1], float(np.mean(dice))


def compare(name: str, paths: list[Path]) -> None:
    """Prints the rows of the recordings, their test images taken together."""
    recordings = [dict(np.load(path)) for path in paths]
    splits = [(Outputs.of(one, "val"), Outputs.of(one, "test")) for one in recordings]
    rng = np.random.default_rng(0)
    as_they_are = [_chosen(val) for val, _ in splits]
    resampled = [[_chosen(val.resampled(rng)) for val, _ in splits] for _ in range(RESAMPLES)]
    for choice in CHOICES:
        for how, draws in (("", [as_they_are]), (", resampled", resampled)):
            if how and choice == "the last":
                continue
            rows = [
                _measured([(*pair, epochs[choice]) for pair, epochs in zip(splits, draw, strict=True)])
                for draw in draws
            ]
            epochs = " ".join(
                f"{np.mean([draw[i][choice] for draw in draws]) + 1:.0f}" for i in range(len(paths))
            )
            figures = " | ".join(f"{value:.3f}" for value in np.mean(rows, axis=0))
            print(
                f"| {name} | {choice}{how} | {epochs} of {len(splits[0][0].probability)} | {figures} |",
                flush=True,
            )


def main() -> None:
    """Records where needed, then prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--recorded", type=Path, nargs="+")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--config", type=Path)
    parser.add_argument("--image-size", type=int, default=96, help="of phantoms")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--epochs", type=int)
    options = parser.parse_args()
    if (options.out is None) == (options.recorded is None):
        parser.error("expected either --out or --recorded")
    for path in options.recorded or ():
        if not path.is_file():
            parser.error(f"{path}: not found")
    paths = options.recorded or [options.out / f"seed{seed}.npz" for seed in range(options.seeds)]
    for seed, path in enumerate(paths):
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            record(options, seed, path)
    print("| training | choice | epoch | accuracy | AUC | log-loss | Dice |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    if options.recorded:
        compare("together", paths)
    else:
        for path in paths:
            compare(path.stem, [path])


if __name__ == "__main__":
    main()
