"""The validation score, by which the best epoch is chosen.

On few images the balanced accuracy changes by whole images, and the best of many epochs is a matter of
chance. So the score rates the predicted probability of the true class, and is averaged over a few epochs.
Measured with ``benchmarks/best_epoch.py``; the figures are in docs/training.md.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uml_tf.data.pipeline import Examples
from uml_tf.evaluation.keras_predictor import KerasPredictor
from uml_tf.evaluation.sources import places_by_source
from uml_tf.runtime.regions import UNKNOWN_PIXEL
from uml_tf.training.sections import Tasks

Array = NDArray[Any]

SMOOTHING = 3
"""Epochs whose scores are averaged."""

_SMALLEST_PROBABILITY = 1e-12


@dataclass(frozen=True)
class Validation:
    """The results of one epoch on the validation split.

    Attributes:
        accuracy, balanced_accuracy: of the labelled images, in [0, 1]; nan without any.
        likelihood: geometric mean of the predicted probability of the true class, in (0, 1], every class
            that occurs having the same weight: exp(-mean negative log likelihood); nan without labels.
        dice: for every foreground class the mean Dice over the images whose mask shows it, in [0, 1]; nan
            for a class that no mask shows.
        class_uncertainty, mask_uncertainty: means over the images, in (0, 1]; padded pixels do not count.
        source_dice: source -> ``dice`` of its images alone, where the split has several sources; a source
            without masks is left out.
        source_foreground: source -> mean predicted share of foreground, in [0, 1], which can be told of
            images without masks too.
    """

    accuracy: float
    balanced_accuracy: float
    likelihood: float
    dice: tuple[float, ...]
    class_uncertainty: float
    mask_uncertainty: float
    source_dice: dict[str, tuple[float, ...]] = field(default_factory=dict)
    source_foreground: dict[str, float] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Validation:
        """The inverse of ``asdict``, after JSON has made lists of the tuples."""
        sources = {name: tuple(dice) for name, dice in data.get("source_dice", {}).items()}
        return cls(**{**data, "dice": tuple(data["dice"]), "source_dice": sources})

    @property
    def score(self) -> float:
        """Mean of the likelihood and the mean Dice, in [0, 1].

        Classes that no mask shows are left out. Only one of the two parts where the split has no labels or no
        regions, nan where it has neither.
        """
        return self.score_of("both")

    def score_of(self, tasks: Tasks) -> float:
        """``score`` of the tasks that are trained."""
        parts = {"class": self.likelihood, "mask": mean_of_known(self.dice)}
        return mean_of_known(list(parts.values()) if tasks == "both" else [parts[tasks]])

    def named(self, pixel_classes: tuple[str, ...]) -> dict[str, float]:
        """Metric name -> value, for MLflow; values that are nan are left out."""
        named = {
            "val/score": self.score,
            "val/accuracy": self.accuracy,
            "val/balanced_accuracy": self.balanced_accuracy,
            "val/likelihood": self.likelihood,
            "val/class_uncertainty": self.class_uncertainty,
            "val/mask_uncertainty": self.mask_uncertainty,
        }
        regions = pixel_classes[1:]
        named |= {f"val/dice_{n}": d for n, d in zip(regions, self.dice, strict=True)}
        for source, dice in self.source_dice.items():
            named |= {f"val/dice_{n}/{_plain(source)}": d for n, d in zip(regions, dice, strict=True)}
        named |= {f"val/foreground/{_plain(name)}": share for name, share in self.source_foreground.items()}
        return {name: value for name, value in named.items() if not np.isnan(value)}


def _plain(source: str) -> str:
    """A source's name for MLflow, which allows few characters."""
    return re.sub(r"[^\w.-]", "_", source)


def smoothed_score(validations: Sequence[Validation], tasks: Tasks = "both") -> float:
    """The score of the last epoch: the mean over it and up to ``SMOOTHING`` - 1 epochs before it."""
    return float(np.mean([validation.score_of(tasks) for validation in validations[-SMOOTHING:]]))


def mean_of_known(values: Sequence[float]) -> float:
    """The mean of the values that are not nan; nan where all are."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def _image_dice(truth: Array, predicted: Array, classes: int) -> Array:
    """Dice ``(N, classes - 1)`` of masks ``(N, H, W)`` by foreground class; nan where the truth is empty.

    Pixels whose true class is not known are left out.
    """
    dice = np.full((len(truth), classes - 1), np.nan)
    known = truth != UNKNOWN_PIXEL
    for c in range(1, classes):
        true, found = truth == c, (predicted == c) & known
        both, total = ((part.sum(axis=(1, 2))) for part in (true & found, true))
        shown = total > 0
        dice[shown, c - 1] = 2 * both[shown] / (total + found.sum(axis=(1, 2)))[shown]
    return dice


def class_results(labels: Array, probability: Array) -> tuple[float, float, float]:
    """Accuracy, balanced accuracy and likelihood (see ``Validation``) of labelled images.

    Args:
        labels: ``(N,)`` class indices.
        probability: ``(N, K)``.
    """
    if not len(labels):
        return (float("nan"),) * 3
    correct = probability.argmax(axis=-1) == labels
    chosen = probability[np.arange(len(labels)), labels].astype(np.float64)
    logarithm = np.log(np.maximum(chosen, _SMALLEST_PROBABILITY))
    recall, mean_logarithm = (
        np.mean([values[labels == c].mean() for c in np.unique(labels)]) for values in (correct, logarithm)
    )
    return float(correct.mean()), float(recall), float(np.exp(mean_logarithm))


def _mean_dice(by_image: Array) -> tuple[float, ...]:
    """The mean of each foreground class over the images ``(N, classes - 1)`` that show it."""
    return tuple(mean_of_known(list(column)) for column in by_image.T)


def _places(examples: Examples) -> dict[str, Array]:
    """Source -> places of its images; nothing where all are of one source."""
    return places_by_source([row.dataset for row in examples.rows])


def _source_dice(examples: Examples, by_image: Array) -> dict[str, tuple[float, ...]]:
    """Mean Dice of each source; ``by_image`` has a row for each image with a mask."""
    found = {}
    for source, places in _places(examples).items():
        chosen = np.isin(np.flatnonzero(examples.has_mask > 0), places)
        if chosen.any():
            found[source] = _mean_dice(by_image[chosen])
    return found


def validate(predictor: KerasPredictor, examples: Examples) -> Validation:
    """Runs the model over the split and measures its outputs."""
    classes = predictor.model.pixel_classes
    probability, class_uncertainty, mask_uncertainty, foreground, dice = [], [], [], [], []
    for place, batch in predictor.over(examples):
        probability.append(batch["class_probability"])
        class_uncertainty.append(batch["class_uncertainty"].ravel())
        maps = enumerate(batch["mask_uncertainty"], place.start)
        mask_uncertainty.append([examples.shown(index, one).mean() for index, one in maps])
        masked = examples.has_mask[place] > 0
        predicted = batch["mask_probability"].argmax(axis=-1)
        # Without the padding, of which nothing is learned and nothing is shown.
        foreground.append([examples.shown(i, one > 0).mean() for i, one in enumerate(predicted, place.start)])
        dice.append(_image_dice(examples.masks[place][masked], predicted[masked], classes))
    labelled = examples.labels >= 0
    by_image, shares = np.concatenate(dice), np.concatenate(foreground)
    return Validation(
        *class_results(examples.labels[labelled], np.concatenate(probability)[labelled]),
        _mean_dice(by_image),
        float(np.concatenate(class_uncertainty).mean()),
        float(np.concatenate(mask_uncertainty).mean()),
        _source_dice(examples, by_image),
        {source: float(shares[places].mean()) for source, places in _places(examples).items()},
    )
