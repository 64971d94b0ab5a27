"""Metrics of the image class.

Every function takes ``labels`` (N,) int class indices and ``probability`` (N, K), rows summing to 1, and
returns a float; nan where the metric is undefined (e.g. the AUC when only one class occurs).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uml_tf.metrics.draws import OfDraws, mean_of_draws
from uml_tf.metrics.metric import METRICS, ClassMetric
from uml_tf.metrics.ranking import area_under_roc, area_under_roc_of_draws

Array = NDArray[Any]


def accuracy(labels: Array, probability: Array) -> float:
    """Share of images whose most probable class is the label, in [0, 1]."""
    return float((probability.argmax(axis=1) == labels).mean())


def balanced_accuracy(labels: Array, probability: Array) -> float:
    """Mean recall over the classes that occur, in [0, 1]."""
    return mean_recall(labels, probability.argmax(axis=1))


def mean_recall(labels: Array, predicted: Array) -> float:
    """``balanced_accuracy`` of predicted class indices ``(N,)``."""
    return float(np.mean([(predicted[labels == c] == c).mean() for c in np.unique(labels)]))


def f1_weighted(labels: Array, probability: Array) -> float:
    """F1 per class, averaged by the classes' share of the images (the paper's F1), in [0, 1]."""
    predicted, classes = probability.argmax(axis=1), probability.shape[1]
    found, true = (np.bincount(values, minlength=classes) for values in (predicted, labels))
    both = np.bincount(labels[predicted == labels], minlength=classes)
    return float(np.average(2 * both / np.maximum(found + true, 1), weights=true))


def auc(labels: Array, probability: Array) -> float:
    """Area under the ROC curve: of class 1 for two classes, else the mean of one against the rest."""
    columns = _ranked_classes(probability)
    return float(np.mean([area_under_roc(labels == c, probability[:, c]) for c in columns]))


def _ranked_classes(probability: Array) -> Sequence[int]:
    return [1] if probability.shape[1] == 2 else range(probability.shape[1])


def brier(labels: Array, probability: Array) -> float:
    """Mean squared distance to the one-hot label, summed over classes, in [0, 2]."""
    return float(_squared_distances(labels, probability).mean())


def _squared_distances(labels: Array, probability: Array) -> Array:
    target = np.eye(probability.shape[1])[labels]
    return ((probability - target) ** 2).sum(axis=1)


def negative_log_likelihood(labels: Array, probability: Array) -> float:
    """Mean -log probability of the label, at least 0."""
    return float(_log_losses(labels, probability).mean())


def _log_losses(labels: Array, probability: Array) -> Array:
    chosen = probability[np.arange(len(labels)), labels]
    return -np.log(np.clip(chosen, 1e-12, 1.0))


def _class_counts(labels: Array, probability: Array) -> Callable[[Array], tuple[Array, Array, Array]]:
    """From counts (see ``OfDraws``) to the drawn images of each class, ``(D, K)`` each.

    Those that are of the class, those that are predicted to be, and those that are both.
    """
    classes = np.arange(probability.shape[1])
    true, found = labels[:, None] == classes, probability.argmax(axis=1)[:, None] == classes
    parts = np.concatenate([true, found, true & found], axis=1).astype(np.float64)

    def counts(draws: Array) -> tuple[Array, Array, Array]:
        true, found, both = np.split(draws @ parts, 3, axis=1)
        return true, found, both

    return counts


def _balanced_accuracy_of_draws(labels: Array, probability: Array) -> OfDraws:
    counts = _class_counts(labels, probability)

    def values(draws: Array) -> Array:
        true, _, both = counts(draws)
        return (both / np.maximum(true, 1)).sum(axis=1) / (true > 0).sum(axis=1)

    return values


def _f1_of_draws(labels: Array, probability: Array) -> OfDraws:
    counts = _class_counts(labels, probability)

    def values(draws: Array) -> Array:
        true, found, both = counts(draws)
        return (2 * both / np.maximum(found + true, 1) * true).sum(axis=1) / true.sum(axis=1)

    return values


def _auc_of_draws(labels: Array, probability: Array) -> OfDraws:
    areas = [area_under_roc_of_draws(labels == c, probability[:, c]) for c in _ranked_classes(probability)]
    return lambda draws: np.mean([area(draws) for area in areas], axis=0)


METRICS.add(
    "accuracy",
    ClassMetric(
        value=accuracy,
        of_draws=lambda labels, probability: mean_of_draws(probability.argmax(axis=1) == labels),
        better="higher",
        description="share of images whose most probable class is the label",
    ),
)
METRICS.add(
    "balanced_accuracy",
    ClassMetric(
        value=balanced_accuracy,
        of_draws=_balanced_accuracy_of_draws,
        better="higher",
        margin=0.05,
        headline=True,
        description="mean recall over the classes that occur",
    ),
)
METRICS.add(
    "f1_weighted",
    ClassMetric(
        value=f1_weighted,
        of_draws=_f1_of_draws,
        better="higher",
        description="F1 per class, averaged by the classes' share of the images (the paper's F1)",
    ),
)
METRICS.add(
    "auc",
    ClassMetric(
        value=auc,
        of_draws=_auc_of_draws,
        better="higher",
        headline=True,
        description="area under the ROC curve: two classes: of the second; more: mean of one against rest",
    ),
)
METRICS.add(
    "brier",
    ClassMetric(
        value=brier,
        of_draws=lambda labels, probability: mean_of_draws(_squared_distances(labels, probability)),
        better="lower",
        bounds=(0.0, 2.0),
        description="squared distance to the one-hot label, summed over classes",
    ),
)
METRICS.add(
    "nll",
    ClassMetric(
        value=negative_log_likelihood,
        of_draws=lambda labels, probability: mean_of_draws(_log_losses(labels, probability)),
        better="lower",
        bounds=(0.0, inf),
        description="mean negative log-likelihood: -log probability of the label",
    ),
)
