"""What is fitted of whole masks: their estimated Dice, and the intervals of what is measured on them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from uml_tf.metrics.masks import region_pair
from uml_tf.runtime.cup_to_disc import vertical_cup_to_disc_ratio
from uml_tf.runtime.intervals import LEVEL, RATIO, Interval, area_doubt, area_name, ratio_doubt
from uml_tf.runtime.mask_quality import DiceFit, dice_log_odds, expected_dice, outline
from uml_tf.runtime.model_card import ModelCard
from uml_tf.runtime.regions import class_is_known, region_members

Array = NDArray[Any]

_FEWEST_REGIONS = 5
"""Predicted regions without which their Dice is not estimated."""

_ERROR_SCALE = 0.05
"""Error of an estimated Dice that weighs as much as the prior's standard deviation."""


@dataclass(frozen=True)
class MaskCase:
    """A validation image with a mask; regions by name.

    Attributes:
        expected: expected Dice, None where the prediction does not show the region, or the mask does not tell
            it.
        dice: true Dice of the prediction, 0 where the region is predicted and does not exist.
        areas: (predicted, true) pixels.
        ratios: (predicted, true) cup-to-disc ratio, None without a disc.
    """

    expected: dict[str, float | None]
    dice: dict[str, float]
    areas: dict[str, tuple[int, int]]
    ratios: tuple[float | None, float | None]


def mask_case(maps: Mapping[str, Array], scale: float | None, mask: Array, card: ModelCard) -> MaskCase:
    """What is kept of an image.

    Args:
        maps: the outputs of ``uml_tf.runtime.mask_quality.MAPS``, without padding.
        scale: of their outline, see ``uml_tf.runtime.mask_quality.evidence_scale``.
        mask: ``(H, W)`` true class indices, and the reserved values, see
            ``uml_tf.metrics.masks.region_pair``.
        card: names of the classes.
    """
    outlined, drawn = outline(maps, scale), maps["mask_probability"].argmax(axis=-1)
    expected: dict[str, float | None] = {}
    dice: dict[str, float] = {}
    areas: dict[str, tuple[int, int]] = {}
    for name, members in region_members(card.pixel_classes, card.unions).items():
        pair = region_pair(mask, drawn, members, len(card.pixel_classes))
        areas[name] = pair.predicted_area, pair.true_area
        expected[name] = expected_dice(outlined, drawn, members) if pair.told else None
        dice[name] = float(2 * pair.common_area / max(sum(areas[name]), 1))
    known = class_is_known(mask)
    predicted, truth = np.where(known, drawn, 0), np.where(known, mask, 0)
    first, second = (vertical_cup_to_disc_ratio(m, card.pixel_classes) for m in (predicted, truth))
    return MaskCase(expected, dice, areas, (first, second))


def fit_dice(expected: Array, dice: Array) -> DiceFit:
    """The rising logistic of the expected Dice's log-odds with the least absolute error.

    A normal prior on bias and logarithm of the slope, with standard deviation 1, holds it at the expected
    Dice itself where the images are few.

    Args:
        expected: ``(N,)`` expected Dice, in [0, 1].
        dice: ``(N,)`` that was seen.
    """
    odds = dice_log_odds(expected)

    def loss(parameters: Array) -> float:
        bias, log_slope = parameters
        estimated = 1 / (1 + np.exp(-(np.exp(log_slope) * odds + bias)))
        return float(np.abs(dice - estimated).sum() / _ERROR_SCALE + 0.5 * (bias**2 + log_slope**2))

    starts = ((0.0, 0.0), (-1.0, 0.0), (-1.0, -1.0))
    found = min((minimize(loss, start, method="Nelder-Mead") for start in starts), key=lambda r: r.fun)
    return DiceFit(float(np.exp(found.x[1])), float(found.x[0]), len(dice))


def conformal_interval(errors: Array, doubts: Array, level: float = LEVEL) -> Interval:
    """The interval that split-conformal prediction makes of validation errors.

    The quantile is the k-th smallest score with k = ceil((n + 1) * level), which is none of n scores where
    they are too few: 9 images are needed for 90 %.

    Args:
        errors: ``(N,)`` distance of the measured from the true value.
        doubts: ``(N,)`` above 0.
        level: chance that the interval holds the true value.
    """
    place = int(np.ceil(round((len(errors) + 1) * level, 9)))
    quantile = float(np.sort(errors / doubts)[place - 1]) if place <= len(errors) else None
    return Interval(quantile, len(errors), level)


def _fit_quality(cases: Sequence[MaskCase], scale: float | None) -> dict[str, DiceFit]:
    fits = {}
    for name in cases[0].expected:
        shown = [(c.expected[name], c.dice[name]) for c in cases if c.expected[name] is not None]
        if len(shown) >= _FEWEST_REGIONS:
            fits[name] = replace(fit_dice(*np.array(shown, float).T), evidence_scale=scale)
    return fits


def _fit_intervals(cases: Sequence[MaskCase], fits: Mapping[str, DiceFit]) -> dict[str, Interval]:
    qualities = [
        {n: None if (e := case.expected[n]) is None else float(fit(e)) for n, fit in fits.items()}
        for case in cases
    ]
    intervals = {}
    for name in fits:
        pairs = [
            (abs(case.areas[name][1] - case.areas[name][0]), case.areas[name][0] * area_doubt(quality))
            for case, q in zip(cases, qualities, strict=True)
            if case.areas[name][0] and (quality := q[name]) is not None
        ]
        intervals[area_name(name)] = conformal_interval(*np.array(pairs, float).reshape(-1, 2).T)
    if {"cup", "rim"} <= set(cases[0].expected):
        apart = [
            (abs(case.ratios[1] - case.ratios[0]), ratio_doubt(q))
            for case, q in zip(cases, qualities, strict=True)
            if case.ratios[0] is not None and case.ratios[1] is not None
        ]
        intervals[RATIO] = conformal_interval(*np.array(apart, float).reshape(-1, 2).T)
    return intervals


def with_mask_fits(
    card: ModelCard, seen: Iterable[tuple[Mapping[str, Array], Array]], scale: float | None
) -> ModelCard:
    """The card with what is fitted of whole masks; what too few masks show stays as it was.

    Args:
        card: names of the classes.
        seen: the outputs of ``uml_tf.runtime.mask_quality.MAPS`` and the ``(H, W)`` true mask of every
            validation image with a mask, all without padding.
        scale: of the outline of its masks, see ``uml_tf.runtime.mask_quality.evidence_scale``.
    """
    cases = [mask_case(maps, scale, mask, card) for maps, mask in seen]
    if not cases:
        return card
    fits = card.mask_quality | _fit_quality(cases, scale)
    # What an older version has fitted of probabilities says nothing of these cases' expected Dice.
    comparable = {name: fit for name, fit in fits.items() if fit.evidence_scale == scale}
    found = _fit_intervals(cases, comparable)
    if len(comparable) < len(fits):
        found.pop(RATIO, None)  # its doubt is that of several regions
    intervals = {n: i for n, i in found.items() if i.quantile is not None or n not in card.intervals}
    return replace(card, mask_quality=fits, intervals=card.intervals | intervals)
