"""The joint score of an epoch, on the validation split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uml_tf.data.pipeline import Examples
from uml_tf.evaluation.keras_predictor import KerasPredictor
from uml_tf.metrics.classification import mean_recall


@dataclass(frozen=True)
class Validation:
    """What one epoch reached on the validation split.

    Attributes:
        accuracy, balanced_accuracy: of the labelled images, in [0, 1]; nan without any.
        dice: pooled Dice per foreground class over all masked images, in [0, 1].
        class_uncertainty, mask_uncertainty: means, in (0, 1].
    """

    accuracy: float
    balanced_accuracy: float
    dice: tuple[float, ...]
    class_uncertainty: float
    mask_uncertainty: float

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Validation:
        """The inverse of ``asdict``, after a trip through JSON."""
        return cls(**{**data, "dice": tuple(data["dice"])})

    @property
    def score(self) -> float:
        """The joint score: mean of balanced accuracy and mean foreground Dice, in [0, 1].

        Where the split has no labels, or no masks, the other one alone.
        """
        parts = [self.balanced_accuracy, float(np.mean(self.dice))]
        known = [part for part in parts if not np.isnan(part)]
        return float(np.mean(known)) if known else float("nan")

    def named(self, pixel_classes: tuple[str, ...]) -> dict[str, float]:
        """Metric name -> value, as MLflow takes them."""
        named = {
            "val/score": self.score,
            "val/accuracy": self.accuracy,
            "val/balanced_accuracy": self.balanced_accuracy,
            "val/class_uncertainty": self.class_uncertainty,
            "val/mask_uncertainty": self.mask_uncertainty,
        }
        named |= {f"val/dice_{n}": d for n, d in zip(pixel_classes[1:], self.dice, strict=True)}
        return {name: value for name, value in named.items() if not np.isnan(value)}


def _pooled_counts(truth: NDArray[Any], answer: NDArray[Any], classes: int) -> NDArray[np.int64]:
    """(overlap, truth + answer) pixels per foreground class."""
    counts = np.zeros((classes - 1, 2), np.int64)
    for c in range(1, classes):
        is_truth, is_answer = truth == c, answer == c
        counts[c - 1] = ((is_truth & is_answer).sum(), is_truth.sum() + is_answer.sum())
    return counts


def validate(answerer: KerasPredictor, examples: Examples) -> Validation:
    """Runs the model over the split and scores it."""
    classes = answerer.model.pixel_classes
    counts = np.zeros((classes - 1, 2), np.int64)
    answers = np.empty(len(examples), np.int64)
    class_uncertainty, mask_uncertainty = [], []
    for place, batch in answerer.over(examples):
        answers[place] = batch["class_probability"].argmax(axis=-1)
        class_uncertainty.append(batch["class_uncertainty"].ravel())
        mask_uncertainty.append(batch["mask_uncertainty"].mean(axis=(1, 2, 3)))
        masked = examples.has_mask[place] > 0
        predicted = batch["mask_probability"][masked].argmax(axis=-1)
        counts += _pooled_counts(examples.masks[place][masked], predicted, classes)
    labelled = examples.labels >= 0
    truth = examples.labels[labelled]
    known = len(truth) > 0
    with np.errstate(invalid="ignore"):
        dice = 2 * counts[:, 0] / np.where(counts[:, 1] > 0, counts[:, 1], np.nan)
    return Validation(
        float((answers[labelled] == truth).mean()) if known else float("nan"),
        mean_recall(truth, answers[labelled]) if known else float("nan"),
        tuple(float(d) for d in dice),
        float(np.concatenate(class_uncertainty).mean()),
        float(np.concatenate(mask_uncertainty).mean()),
    )
