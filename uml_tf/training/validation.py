"""The validation score, by which the best epoch is chosen.

On few images the balanced accuracy changes by whole images, and the best of many epochs is a matter of
chance. So the score rates the predicted probability of the true class, and is averaged over a few epochs.
Measured with ``benchmarks/best_epoch.py``; the figures are in docs/training.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uml_tf.data.pipeline import Examples
from uml_tf.evaluation.keras_predictor import KerasPredictor
from uml_tf.runtime.regions import UNKNOWN_PIXEL

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
    """

    accuracy: float
    balanced_accuracy: float
    likelihood: float
    dice: tuple[float, ...]
    class_uncertainty: float
    mask_uncertainty: float

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Validation:
        """The inverse of ``asdict``, after JSON has made lists of the tuples."""
        return cls(**{**data, "dice": tuple(data["dice"])})

    @property
    def score(self) -> float:
        """Mean of the likelihood and the mean Dice, in [0, 1].

        Classes that no mask shows are left out. Only one of the two parts where the split has no labels or no
        regions, nan where it has neither.
        """
        return mean_of_known([self.likelihood, mean_of_known(self.dice)])

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
        named |= {f"val/dice_{n}": d for n, d in zip(pixel_classes[1:], self.dice, strict=True)}
        return {name: value for name, value in named.items() if not np.isnan(value)}


def smoothed_score(validations: Sequence[Validation]) -> float:
    """The score of the last epoch: the mean over it and up to ``SMOOTHING`` - 1 epochs before it."""
    return float(np.mean([validation.score for validation in validations[-SMOOTHING:]]))


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


def validate(predictor: KerasPredictor, examples: Examples) -> Validation:
    """Runs the model over the split and measures its outputs."""
    classes = predictor.model.pixel_classes
    probability, class_uncertainty, mask_uncertainty, dice = [], [], [], []
    for place, batch in predictor.over(examples):
        probability.append(batch["class_probability"])
        class_uncertainty.append(batch["class_uncertainty"].ravel())
        maps = enumerate(batch["mask_uncertainty"], place.start)
        mask_uncertainty.append([examples.shown(index, one).mean() for index, one in maps])
        masked = examples.has_mask[place] > 0
        predicted = batch["mask_probability"][masked].argmax(axis=-1)
        dice.append(_image_dice(examples.masks[place][masked], predicted, classes))
    labelled = examples.labels >= 0
    return Validation(
        *class_results(examples.labels[labelled], np.concatenate(probability)[labelled]),
        tuple(mean_of_known(list(column)) for column in np.concatenate(dice).T),
        float(np.concatenate(class_uncertainty).mean()),
        float(np.concatenate(mask_uncertainty).mean()),
    )
