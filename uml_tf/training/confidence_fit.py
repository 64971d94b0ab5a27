"""Temperatures and confidence, fitted on validation images by log-loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar

from uml_tf.runtime.confidence import Confidence

Array = NDArray[Any]

TEMPERATURES = (0.2, 5.0)
FOLDS = 5

_RIDGE = 1e-3
"""Least precision, beside the mean loss, of the prior of a score's weight, where its deviation is 1."""

_OF_BIAS = 1 / 9
"""The precision of the bias's prior, as a multiple of that of a weight: a deviation of 3 for one of 1."""

_LEAST = 0.01
"""Least weight of a score with deviation 1: a confidence that rose with no score would rank nothing."""

_LEAST_SPREAD = 1e-3
"""Least deviation that a score is divided by: the weight of one that hardly varies stays small."""

_TINY = 1e-12


def fit_temperature(probability: Array, target: Array, images: int) -> float:
    """The temperature in ``TEMPERATURES`` with the least log-loss of p^(1/T) / sum p^(1/T).

    A prior of one image's weight holds it at 1 where the images say little, as where none is wrong.

    Args:
        probability: ``(N, K)``.
        target: ``(N,)`` class indices.
        images: number of images that the N are of.
    """
    logarithm = np.log(np.maximum(probability.astype(np.float64), _TINY))

    def loss(log_temperature: float) -> float:
        scaled = logarithm * np.exp(-log_temperature)
        scaled = scaled - scaled.max(axis=1, keepdims=True)
        normaliser = np.log(np.exp(scaled).sum(axis=1))
        own = np.take_along_axis(scaled, target[:, None], axis=1)[:, 0]
        return float((normaliser - own).mean() + 0.5 * log_temperature**2 / images)

    low, high = np.log(TEMPERATURES)
    return float(np.exp(minimize_scalar(loss, bounds=(low, high), method="bounded").x))


def log_loss(chance: Array, right: Array) -> Array:
    """Of each answer, ``(N,)``."""
    kept = np.clip(chance, _TINY, 1 - _TINY)
    return -np.where(right, np.log(kept), np.log1p(-kept))


def fit_logistic(scores: Array, right: Array, least: float = 0.0) -> tuple[Array, float]:
    """Weights ``(S,)``, above 0, and bias that make of scores ``(N, S)`` a chance of being right.

    The targets are Platt's: (n + 1) / (n + 2) and 1 / (m + 2) for n right and m wrong answers, so that the
    chance stays within (0, 1) where none is wrong. A normal prior of one answer's weight keeps few answers
    from a step, at one side of which every chance would be the least. Where there is a least chance, the bias
    has one too, around the share of right answers above it: many wrong answers would leave no other chance.

    Args:
        scores: ``(N, S)``.
        right: ``(N,)`` bool.
        least: chance that no answer is below; see ``Confidence``.
    """
    values = scores.astype(np.float64)
    centre, spread = values.mean(axis=0), np.maximum(values.std(axis=0), _LEAST_SPREAD)
    standard = (values - centre) / spread
    good, bad = int(right.sum()), int((~right).sum())
    target = np.where(right, (good + 1) / (good + 2), 1 / (bad + 2))
    ridge = max(_RIDGE, 1 / len(right))
    log_least = np.log(least) if least else -np.inf
    known = ((good + 1) / (good + bad + 2) - least) / (1 - least)
    known = max(known, 1 / (good + bad + 2))
    centre_of_bias = np.log(known / (1 - known))
    bias_ridge = _OF_BIAS * ridge if least else 0.0

    def loss(parameters: Array) -> tuple[float, Array]:
        weights, bias = parameters[:-1], parameters[-1]
        z = standard @ weights + bias
        log_logistic = -np.logaddexp(0, -z)
        log_chance = np.logaddexp(log_least, np.log1p(-least) + log_logistic)
        log_rest = np.log1p(-least) - np.logaddexp(0, z)
        fit = -np.mean(target * log_chance + (1 - target) * log_rest)
        off = bias - centre_of_bias
        value = fit + 0.5 * ridge * (weights**2).sum() + 0.5 * bias_ridge * off**2
        error = (np.exp(log_chance) - target) * np.exp(np.minimum(log_logistic - log_chance, 0))
        by_weight = standard.T @ error / len(error) + ridge * weights
        return float(value), np.append(by_weight, error.mean() + bias_ridge * off)

    count = values.shape[1]
    start = np.append(np.full(count, 0.5), centre_of_bias)
    bounds = [(_LEAST, None)] * count + [(None, None)]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    weights = found[:-1] / spread
    return weights, float(found[-1] - (weights * centre).sum())


def _chance(scores: Array, fitted: tuple[Array, float], least: float) -> Array:
    weights, bias = fitted
    return least + (1 - least) / (1 + np.exp(-np.clip(scores @ weights + bias, -500, 500)))


def _losses_of_images(scores: Array, right: Array, group: Array, least: float) -> Array:
    """Cross-validated mean log-loss of every image, ``(images,)``."""
    names, member = np.unique(group, return_inverse=True)
    fold = np.random.default_rng(0).permutation(len(names)) % FOLDS
    total = np.zeros(len(names))
    for number in range(FOLDS):
        held = fold[member] == number
        if held.any() and not held.all():
            fitted = fit_logistic(scores[~held], right[~held], least)
            losses = log_loss(_chance(scores[held], fitted, least), right[held])
            total += np.bincount(member[held], losses, len(names))
    return total / np.bincount(member, minlength=len(names))


def fit_mix(scores: Mapping[str, Array], right: Array, least: float = 0.0) -> Confidence:
    """The confidence that follows from all of some scores, without a choice.

    Args:
        scores: name of ``uml_tf.runtime.confidence.SCORES`` -> ``(N,)``.
        right: ``(N,)`` bool, whether the answer is right.
        least: see ``Confidence``.
    """
    weights, bias = fit_logistic(np.stack(list(scores.values()), axis=1), right, least)
    named = {name: float(weight) for name, weight in zip(scores, weights, strict=True)}
    return Confidence("+".join(scores), named, bias, least)


def fit_confidence(
    scores: Mapping[str, Array],
    right: Array,
    group: Array,
    alone: Sequence[str],
    mixes: Sequence[Sequence[str]],
    least: float = 0.0,
) -> Confidence:
    """The confidence whose score is chosen by a fixed rule.

    Some scores, and some mixes, are made a chance by a rising logistic. The largest mean probability is kept
    unless another that ranks the answers has a smaller log-loss, cross-validated in five folds of images, by
    more than the standard error of their difference.

    Args:
        scores: name of ``uml_tf.runtime.confidence.SCORES`` -> ``(N,)``.
        right: ``(N,)`` bool, whether the answer is right.
        group: ``(N,)`` number of the image that the answer is of.
        alone: the scores that may be chosen by themselves; "largest" is among them.
        mixes: the scores of each mix, which is named after them.
        least: see ``Confidence``.
    """
    parts = [*((name,) for name in alone), *mixes]
    candidates = {"+".join(names): {name: scores[name] for name in names} for names in parts}
    stacked = {name: np.stack(list(values.values()), axis=1) for name, values in candidates.items()}
    losses = {name: _losses_of_images(values, right, group, least) for name, values in stacked.items()}
    chosen = "largest"
    for name in sorted(losses, key=lambda n: losses[n].mean()):
        difference = losses["largest"] - losses[name]
        error = difference.std(ddof=1) / np.sqrt(len(difference)) if len(difference) > 1 else np.inf
        if difference.mean() > error and _ranks(stacked[name], right, least):
            chosen = name
            break
    return fit_mix(candidates[chosen], right, least)


def _ranks(scores: Array, right: Array, least: float) -> bool:
    """Whether any of the scores rises with the chance of being right, beyond what every fit is given."""
    weights, _ = fit_logistic(scores, right, least)
    return bool((weights * scores.std(axis=0) > 2 * _LEAST).any())
