"""Metrics of the image class.

Every function takes ``labels`` (N,) int class indices and ``probability`` (N, K), rows summing to 1, and
returns a float; nan where the metric is undefined (e.g. the AUC when only one class occurs).
"""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uml_tf.metrics.metric import METRICS, ClassMetric
from uml_tf.metrics.ranking import area_under_roc

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
    columns = [1] if probability.shape[1] == 2 else range(probability.shape[1])
    return float(np.mean([area_under_roc(labels == c, probability[:, c]) for c in columns]))


def brier(labels: Array, probability: Array) -> float:
    """Mean squared distance to the one-hot label, summed over classes, in [0, 2]."""
    target = np.eye(probability.shape[1])[labels]
    return float(((probability - target) ** 2).sum(axis=1).mean())


def negative_log_likelihood(labels: Array, probability: Array) -> float:
    """Mean -log probability of the label, at least 0."""
    chosen = probability[np.arange(len(labels)), labels]
    return float(-np.log(np.clip(chosen, 1e-12, 1.0)).mean())


METRICS.add(
    "accuracy",
    ClassMetric(
        value=accuracy, better="higher", description="share of images whose most probable class is the label"
    ),
)
METRICS.add(
    "balanced_accuracy",
    ClassMetric(
        value=balanced_accuracy,
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
        better="higher",
        description="F1 per class, averaged by the classes' share of the images (the paper's F1)",
    ),
)
METRICS.add(
    "auc",
    ClassMetric(
        value=auc,
        better="higher",
        headline=True,
        description="area under the ROC curve: two classes: of the second; more: mean of one against rest",
    ),
)
METRICS.add(
    "brier",
    ClassMetric(
        value=brier,
        better="lower",
        bounds=(0.0, 2.0),
        description="squared distance to the one-hot label, summed over classes",
    ),
)
METRICS.add(
    "nll",
    ClassMetric(
        value=negative_log_likelihood,
        better="lower",
        bounds=(0.0, inf),
        description="mean negative log-likelihood: -log probability of the label",
    ),
)
