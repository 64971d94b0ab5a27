"""The results of an epoch on the validation split, and the score by which an epoch is chosen.

On few images the balanced accuracy changes by whole images. So the score rates the predicted probability of
the true class; where there are labels enough to fit a temperature, after that temperature, as the finished
network will: an epoch that is right as often and too sure of it is none the worse for that. Measured with
``benchmarks/best_epoch.py``; the figures are in docs/training.md.
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
from uml_tf.runtime.confidence import FEWEST_LABELS
from uml_tf.runtime.contract import tempered
from uml_tf.runtime.regions import class_is_known
from uml_tf.training.confidence_fit import fit_temperature
from uml_tf.training.sections import Tasks

Array = NDArray[Any]

_SMALLEST_PROBABILITY = 1e-12


@dataclass(frozen=True)
class Validation:
    """The results of one epoch on the validation split.

    Attributes:
        accuracy, balanced_accuracy: of the labelled images, in [0, 1]; nan without any.
        likelihood: geometric mean of the predicted probability of the true class, in (0, 1], every class
            that occurs having the same weight: exp(-mean negative log likelihood); nan without labels. From
            ``FEWEST_LABELS`` on after a temperature that is fitted on these very images.
        dice: for every foreground class the mean Dice over the images whose mask shows it, in [0, 1]; nan
            for a class that no mask shows.
        class_uncertainty, mask_uncertainty: means over the images, in (0, 1]; padded pixels do not count.
        source_dice: source -> ``dice`` of its images alone, where the split has several sources; a source
            without masks is left out.
        source_foreground: source -> mean share of the picture that is predicted as foreground, in [0, 1],
            which can be told of images without masks too.
        influence: of each subject on the score of the tasks that are trained, see ``EpochScore``.
    """

    accuracy: float
    balanced_accuracy: float
    likelihood: float
    dice: tuple[float, ...]
    class_uncertainty: float
    mask_uncertainty: float
    source_dice: dict[str, tuple[float, ...]] = field(default_factory=dict)
    source_foreground: dict[str, float] = field(default_factory=dict)
    influence: tuple[float, ...] = ()

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Validation:
        """The inverse of ``asdict``, after JSON has made lists of the tuples."""
        sources = {name: tuple(dice) for name, dice in data.get("source_dice", {}).items()}
        lists = {name: tuple(data[name]) for name in ("dice", "influence")}
        return cls(**{**data, **lists, "source_dice": sources})

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


def mean_of_known(values: Sequence[float]) -> float:
    """The mean of the values that are not nan; nan where all are."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def _image_dice(truth: Array, predicted: Array, classes: int) -> Array:
    """Dice ``(N, classes - 1)`` of masks ``(N, H, W)`` by foreground class; nan where the truth is empty.

    Pixels whose true class is not known are left out.
    """
    dice = np.full((len(truth), classes - 1), np.nan)
    known = class_is_known(truth)
    for c in range(1, classes):
        true, found = truth == c, (predicted == c) & known
        both, total = ((part.sum(axis=(1, 2))) for part in (true & found, true))
        shown = total > 0
        dice[shown, c - 1] = 2 * both[shown] / (total + found.sum(axis=(1, 2)))[shown]
    return dice


@dataclass(frozen=True)
class ClassResults:
    """The classes of the labelled images; see ``Validation``.

    Attributes:
        accuracy, balanced_accuracy, likelihood: as there.
        influence: ``(N,)``, of each image on the likelihood. That the temperature is fitted on the same
            images is left out.
    """

    accuracy: float
    balanced_accuracy: float
    likelihood: float
    influence: Array


def class_results(labels: Array, probability: Array) -> ClassResults:
    """The results of labelled images.

    Args:
        labels: ``(N,)`` class indices.
        probability: ``(N, K)``, before any temperature.
    """
    if not len(labels):
        return ClassResults(*(float("nan"),) * 3, influence=np.zeros(0))
    correct = probability.argmax(axis=-1) == labels
    logarithm = _log_probability(labels, probability)
    classes = np.unique(labels)
    recall = np.mean([correct[labels == c].mean() for c in classes])
    means = {c: logarithm[labels == c].mean() for c in classes}
    likelihood = np.exp(np.mean(list(means.values())))
    influence = np.zeros(len(labels))
    for c in classes:
        own = labels == c
        influence[own] = likelihood / len(classes) * _influence_on_mean(logarithm[own], logarithm.mean())
    return ClassResults(float(correct.mean()), float(recall), float(likelihood), influence)


def _influence_on_mean(values: Array, mean_of_all: float) -> Array:
    """Of each of N values on their mean; the sum of the squares is the unbiased estimate of its variance.

    A single value shows no variance: it counts as far off as it is from the mean of all others of its kind.
    """
    count = len(values)
    if count == 1:
        return values - mean_of_all
    return (values - values.mean()) / np.sqrt(count * (count - 1))


def temperature_of(labels: Array, probability: Array) -> float | None:
    """The temperature that fits labelled images; None where they are too few, as for a finished network."""
    return fit_temperature(probability, labels, len(labels)) if len(labels) >= FEWEST_LABELS else None


def _log_probability(labels: Array, probability: Array) -> Array:
    """``(N,)``, of the true class, after the temperature that fits these images."""
    said = tempered(probability.astype(np.float64), temperature_of(labels, probability))
    return np.log(np.maximum(said[np.arange(len(labels)), labels], _SMALLEST_PROBABILITY))


def dice_influence(by_image: Array) -> Array:
    """``(N,)``, of each image on the mean of the regions' mean Dice; of Dice ``(N, R)`` with nan."""
    shown = ~np.isnan(by_image)
    regions = np.flatnonzero(shown.any(axis=0))
    influence = np.zeros(len(by_image))
    for region in regions:
        own = shown[:, region]
        influence[own] += _influence_on_mean(by_image[own, region], by_image[shown].mean()) / len(regions)
    return influence


def influence_of_subjects(parts: Sequence[tuple[Array, Array]], subjects: Sequence[str]) -> tuple[float, ...]:
    """Of each subject on the mean of several parts of a score.

    Args:
        parts: of each the places ``(M,)`` of the images that it is of, and their influence ``(M,)``.
        subjects: of all images; an image with "" is a subject of its own.
    """
    names = [subject or f"\0{place}" for place, subject in enumerate(subjects)]
    _, subject_of = np.unique(names, return_inverse=True)
    total = np.zeros(subject_of.max() + 1)
    for places, influence in parts:
        np.add.at(total, subject_of[places], influence / len(parts))
    return tuple(total.tolist())


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


def validate(predictor: KerasPredictor, examples: Examples, tasks: Tasks = "both") -> Validation:
    """Runs the model over the split and measures its outputs; the influence is of the tasks' score."""
    classes = predictor.model.pixel_classes
    probability, class_uncertainty, mask_uncertainty, foreground, dice = [], [], [], [], []
    for place, batch in predictor.over(examples):
        probability.append(batch["class_probability"])
        class_uncertainty.append(batch["class_uncertainty"].ravel())
        maps = enumerate(batch["mask_uncertainty"], place.start)
        mask_uncertainty.append([examples.shown(index, one).mean() for index, one in maps])
        masked = examples.has_mask[place] > 0
        predicted = batch["mask_probability"].argmax(axis=-1)
        regions = enumerate(predicted > 0, place.start)
        foreground.append([examples.share_of_picture(index, region) for index, region in regions])
        dice.append(_image_dice(examples.masks[place][masked], predicted[masked], classes))
    labelled = np.flatnonzero(examples.labels >= 0)
    by_image, shares = np.concatenate(dice), np.concatenate(foreground)
    found = class_results(examples.labels[labelled], np.concatenate(probability)[labelled])
    dices, parts = _mean_dice(by_image), []
    if tasks != "mask" and np.isfinite(found.likelihood):
        parts.append((labelled, found.influence))
    if tasks != "class" and not np.isnan(mean_of_known(dices)):
        parts.append((np.flatnonzero(examples.has_mask > 0), dice_influence(by_image)))
    return Validation(
        found.accuracy,
        found.balanced_accuracy,
        found.likelihood,
        dices,
        float(np.concatenate(class_uncertainty).mean()),
        float(np.concatenate(mask_uncertainty).mean()),
        _source_dice(examples, by_image),
        {source: float(shares[places].mean()) for source, places in _places(examples).items()},
        influence_of_subjects(parts, [row.subject for row in examples.rows]),
    )
