"""The confidence from which on an answer is accepted, so that the risk among the accepted is as promised."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from uml_tf.runtime.model_card import ModelCard

RISK_TARGET = 0.05
CONFIDENCE = 0.9
_SMALLEST_MARGIN = 1e-3


@dataclass(frozen=True)
class AcceptThreshold:
    """What was found.

    Attributes:
        above: least confidence of an accepted answer, or None where no threshold keeps the promise.
        reason: why none does, or "".
    """

    above: float | None
    reason: str = ""


def upper_bound(wrong: int, count: int, confidence: float) -> float:
    """Clopper and Pearson's one-sided upper bound of a share of which ``wrong`` of ``count`` were seen."""
    return 1.0 if wrong >= count else float(beta.ppf(confidence, wrong + 1, count - wrong))


def fewest_images(risk_target: float, confidence: float) -> int:
    """How many images, none of them wrong, show that the risk is at most the target."""
    return max(int(np.ceil(np.log1p(-confidence) / np.log1p(-risk_target) - 1e-9)), 1)


def fit_accept_above(
    confidence_of_class: NDArray[Any],
    correct: NDArray[Any],
    risk_target: float = RISK_TARGET,
    confidence: float = CONFIDENCE,
    images: str = "labelled, familiar validation images",
) -> AcceptThreshold:
    """The least threshold that is reached by testing one number of accepted images after the other.

    The most confident images are accepted first: as many as can show anything, then one more at a time, as
    long as the exact binomial upper bound of the risk stays at the target. Because the order of the tests is
    fixed and the first that fails ends them, the threshold keeps the promise with the stated confidence for
    images like these (fixed-sequence testing, as in Angelopoulos et al., "Learn then Test", 2021). It lies
    halfway between the last accepted and the first referred image, so that a rounding, as in an exported
    network, changes no decision. Where all are accepted it lies below the last by half the mean distance
    between neighbours, at least by 0.001.

    Args:
        confidence_of_class: ``(N,)``, in [0, 1].
        correct: ``(N,)`` bool.
        risk_target: largest share of wrong classes among the accepted, in (0, 1).
        confidence: in (0, 1).
        images: what they are, for the reason.
    """
    fewest = fewest_images(risk_target, confidence)
    promise = f"at most {100 * risk_target:g} % wrong with {100 * confidence:g} % confidence"
    if len(correct) < fewest:
        return AcceptThreshold(None, f"{len(correct)} {images}, and {promise} needs at least {fewest}")
    order = np.argsort(-confidence_of_class, kind="stable")
    ordered, wrong = confidence_of_class[order].astype(np.float64), np.cumsum(~correct[order])
    # Images of equal confidence can only be accepted together.
    ends = np.flatnonzero(np.append(ordered[1:] < ordered[:-1], True))
    last = None
    for place in ends[ends >= fewest - 1]:
        if upper_bound(int(wrong[place]), int(place) + 1, confidence) > risk_target:
            break
        last = int(place)
    if last is None:
        first = int(ends[ends >= fewest - 1][0])
        return AcceptThreshold(
            None,
            f"{wrong[first]} of the {first + 1} most confident validation images are wrong, too many "
            f"for {promise}",
        )
    if last + 1 < len(ordered):
        return AcceptThreshold(_between(float(ordered[last + 1]), float(ordered[last])))
    mean_distance = (ordered[0] - ordered[-1]) / max(len(ordered) - 1, 1)
    return AcceptThreshold(float(ordered[-1] - max(mean_distance / 2, _SMALLEST_MARGIN)))


def with_accept_above(
    card: ModelCard,
    confidence_of_class: NDArray[Any],
    correct: NDArray[Any],
    risk_target: float,
    confidence: float,
) -> ModelCard:
    """The card with ``fit_accept_above`` of validation images.

    Only images that can be accepted show anything: none that is unlike the training images, and none in which
    the network's locator found nothing (``uml_tf.runtime.referral.decide``).

    Args:
        card: of the model.
        confidence_of_class: ``(N,)``, in [0, 1], of the labelled images that can be accepted.
        correct: ``(N,)`` bool.
        risk_target: largest share of wrong classes among the accepted, in (0, 1).
        confidence: in (0, 1).
    """
    images = "labelled, familiar validation images"
    if card.roi is not None:
        images += f" in which the {card.roi.name} was found"
    threshold = fit_accept_above(confidence_of_class, correct, risk_target, confidence, images)
    return replace(
        card,
        accept_above=threshold.above,
        accept_reason=threshold.reason,
        risk_target=risk_target,
        risk_confidence=confidence,
    )


def _between(low: float, high: float) -> float:
    """Halfway between two numbers; the higher one where no other number lies between them."""
    middle = (low + high) / 2
    return middle if middle > low else high
