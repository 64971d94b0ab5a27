"""What a model's outputs say of its own answer: confidence, and doubt about the mask as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uml_tf.metrics.scores import MASK_SCORES
from uml_tf.runtime.mask_quality import expected_dice
from uml_tf.runtime.placement import Placement

Array = NDArray[Any]

MEMBERS_DICE = "members_dice"
"""An output beside the contract, ``(B, 1)`` in [0, 1]: mean Dice between the masks of several predictions."""

_FAMILIARITY = "familiarity"


def _confidence(outputs: Mapping[str, Array], part: str) -> Array:
    """The confidence in the most probable class, ``(...)`` in [0, 1]; the one place that decides which it is.

    It is the model's own confidence where it returns one, else the largest probability.

    Args:
        outputs: of a model, with or without the batch axis.
        part: "class" or "mask".
    """
    own = outputs.get(f"{part}_confidence")
    return outputs[f"{part}_probability"].max(axis=-1) if own is None else own[..., 0]


def class_confidence(outputs: Mapping[str, Array]) -> float:
    """The confidence in the class of one image, in [0, 1]; of outputs without the batch axis."""
    return float(_confidence(outputs, "class"))


def mask_confidence(outputs: Mapping[str, Array]) -> Array:
    """The confidence in each pixel, ``(..., h, w)`` in [0, 1], at the network's resolution."""
    return _confidence(outputs, "mask")


def restored_confidence(outputs: Mapping[str, Array], placement: Placement, probability: Array) -> Array:
    """``mask_confidence`` at the picture's size, ``(H, W)``.

    Args:
        outputs: of one image.
        placement: of the picture in the network's input.
        probability: ``(H, W, C)``, the mask probability at the picture's size.
    """
    if "mask_confidence" in outputs:
        return placement.restored_confidence(outputs, probability.argmax(axis=-1))
    return _confidence({"mask_probability": probability}, "mask")


def familiarity(outputs: Mapping[str, Array]) -> float:
    """How familiar the image is to the model, in [0, 1]; nan where the model does not tell it."""
    return float(np.ravel(outputs[_FAMILIARITY])[0]) if _FAMILIARITY in outputs else nan


def _mean_of(told: Iterable[float | None]) -> float:
    """The mean of what is told of regions; 0 where nothing is."""
    found = [value for value in told if value is not None]
    return float(np.mean(found)) if found else 0.0


def mask_doubts(outputs: Mapping[str, Array], quality: Sequence[float | None]) -> dict[str, float]:
    """Every score of ``MASK_SCORES`` of one image that is defined, larger for more doubt.

    Args:
        outputs: of one image, without the batch axis and padding, at the network's resolution.
        quality: the estimated Dice of every pixel class but the background, None where it is not predicted;
            empty where it is not estimated of all of them.
    """
    probability = outputs["mask_probability"]
    drawn = probability.argmax(axis=-1)
    region = drawn > 0
    expected = (expected_dice(probability, drawn, [index]) for index in range(1, probability.shape[-1]))
    chosen = region if region.any() else np.ones_like(region)
    scores = {
        "vacuity": float(outputs["mask_uncertainty"][..., 0][chosen].mean()),
        "confidence": float(1 - mask_confidence(outputs)[chosen].mean()),
        "max_probability": float(1 - probability.max(axis=-1)[chosen].mean()),
        "threshold_dice": 1 - _mean_of(expected),
    }
    if quality:
        scores["estimated_dice"] = 1 - _mean_of(quality)
    if MEMBERS_DICE in outputs:
        scores["members"] = float(1 - outputs[MEMBERS_DICE][0])
    return {name: scores[name] for name in MASK_SCORES if name in scores}
