"""The output contract: the names that every model returns, and how they follow from its heads.

Shared by the network (``keras.ops``) and by the host that completes a strictly integer network (NumPy).

A head's output depends on its kind, and is never evidence:
    - Dirichlet head: the concentration alpha = softplus(logits) / lambda + 1, with a prior weight lambda
      that is 1 as published.
    - Softmax head (the ablation without evidential heads): the logits; the softmax follows here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType, ModuleType
from typing import Any, NamedTuple

import numpy as np

from uml_tf.runtime.confidence import Confidence, log_odds
from uml_tf.runtime.evidence import (
    Opinion,
    concentration_from_logits,
    opinion_from_concentration,
    opinion_from_probability,
    uncertainty_from_concentration,
)
from uml_tf.runtime.surroundings import surroundings
from uml_tf.runtime.trust import NO_TRUST, Trust

CONTRACT = (
    "class_probability",
    "class_belief",
    "class_uncertainty",
    "mask_probability",
    "mask_belief",
    "mask_uncertainty",
    "class_confidence",
    "mask_confidence",
    "familiarity",
)
"""The names that every model returns, Keras or exported; ``contract`` gives their meaning."""

LOGITS = ("class_logits", "mutual_logits", "segmentation_logits", "features")
"""The inputs of the heads, maps at the finest level's own size, and the pooled features; with the image's
sharpness the contract follows from them."""


def softmax(logits: Any, xp: ModuleType = np) -> Any:
    """Softmax of ``(..., K)`` over the last axis."""
    if hasattr(xp, "softmax"):
        return xp.softmax(logits, axis=-1)
    powers = xp.exp(logits - xp.max(logits, axis=-1, keepdims=True))
    return powers / xp.sum(powers, axis=-1, keepdims=True)


def head_output(logits: Any, evidential: bool, xp: ModuleType = np, prior_weight: float = 1.0) -> Any:
    """A head's output of its ``(..., K)`` logits: the concentration, or the logits of a softmax head."""
    return concentration_from_logits(logits, xp, prior_weight) if evidential else logits


def head_opinion(output: Any, evidential: bool, xp: ModuleType = np) -> Opinion:
    """The opinion of a head's ``(..., K)`` output."""
    if evidential:
        return opinion_from_concentration(output, xp)
    return opinion_from_probability(softmax(output, xp), xp)


def head_uncertainty(output: Any, evidential: bool, xp: ModuleType = np) -> Any:
    """The uncertainty of a head's ``(..., K)`` output, ``(..., 1)`` in (0, 1]."""
    if evidential:
        return uncertainty_from_concentration(output, xp)
    return opinion_from_probability(softmax(output, xp), xp).uncertainty


def fused(mask_head: Any, mutual_head: Any) -> Any:
    """The concentration ``(..., C)`` with the evidence of two heads.

    Source: cumulative belief fusion, Josang, Subjective Logic, 2016.
    """
    return mask_head + (mutual_head - 1.0)


def unfused(mask_head: Any, mutual_head: Any) -> Any:
    """The inverse of ``fused``: the concentration of the head alone."""
    return mask_head - (mutual_head - 1.0)


class Heads(NamedTuple):
    """What the contract follows from.

    Attributes:
        class_head: ``(B, K)`` output of the class head.
        mutual_head: ``(B, H, W, C)`` output of the finest mutual head, resized to the input size.
        mask_head: ``(B, H, W, C)`` output of the head that draws the mask, resized to the input size: a
            concentration, which may have the evidence of two heads, or the logits of a softmax.
        features: ``(B, D)`` global means of the encoders' two coarsest levels.
        sharpness: ``(B, 4)`` of the image, see ``uml_tf.runtime.density``.
    """

    class_head: Any
    mutual_head: Any
    mask_head: Any
    features: Any
    sharpness: Any


def scaled_opinion(output: Any, evidential: bool, familiarity: Any, xp: ModuleType = np) -> Opinion:
    """The opinion of a head's ``(..., K)`` output whose evidence is scaled by the familiarity.

    Args:
        output: of the head.
        evidential: whether it is a Dirichlet head. The opinion of a softmax head becomes that of no evidence
            in proportion.
        familiarity: f in (0, 1], broadcast over ``output``; None for 1.
        xp: ``numpy`` or ``keras.ops``.

    Source: density-aware evidence, as in Yoon and Kim (DAEDL), ICML 2024.
    """
    if familiarity is None:
        return head_opinion(output, evidential, xp)
    if evidential:
        return opinion_from_concentration((output - 1.0) * familiarity + 1.0, xp)
    found = head_opinion(output, evidential, xp)
    return Opinion(
        faded(found.probability, familiarity),
        found.belief * familiarity,
        (found.uncertainty - 1.0) * familiarity + 1.0,
    )


def faded(probability: Any, familiarity: Any) -> Any:
    """F p + (1 - f) / K of ``(..., K)`` probabilities; p where the familiarity is None."""
    if familiarity is None:
        return probability
    even = float(1 / probability.shape[-1])
    return (probability - even) * familiarity + even


def tempered(probability: Any, temperature: float | None, xp: ModuleType = np) -> Any:
    """p^(1/T) / sum p^(1/T) of ``(..., K)`` probabilities; p itself where T is None."""
    if temperature is None:
        return probability
    return softmax(xp.log(xp.maximum(probability, 1e-12)) * float(1 / temperature), xp)


def confidence(
    fitted: Confidence | None,
    found: Opinion,
    familiarity: Any,
    beside: Mapping[str, Any] = MappingProxyType({}),
    xp: ModuleType = np,
) -> Any:
    """The chance of being right, ``(..., 1)``: f c + (1 - f) / K.

    Args:
        fitted: gives c; None for the largest mean probability.
        found: calibrated probability, belief and uncertainty, ``(..., K)``, scaled by the familiarity.
        familiarity: f, ``(..., 1)``, or None for 1.
        beside: what ``fitted`` reads of ``uml_tf.runtime.confidence.OF_PIXELS``.
        xp: ``numpy`` or ``keras.ops``.
    """
    if fitted is None:
        return xp.max(found.probability, axis=-1, keepdims=True)
    chance = fitted(found, beside, xp)
    if familiarity is None:
        return chance
    even = float(1 / found.probability.shape[-1])
    return (chance - even) * familiarity + even


def drawn_probability(mask_head: Any, evidential_mask: bool, xp: ModuleType = np) -> Any:
    """What the head that draws the mask says, ``(..., C)``, before all that is fitted."""
    return (
        opinion_from_concentration(mask_head, xp).probability if evidential_mask else softmax(mask_head, xp)
    )


def beside_pixels(
    names: Collection[str],
    heads: Heads,
    evidential: bool,
    evidential_mask: bool,
    familiarity: Any,
    xp: ModuleType = np,
) -> dict[str, Any]:
    """Some of ``uml_tf.runtime.confidence.OF_PIXELS``, ``(..., C)`` log-odds each.

    The surroundings are those of the head's own probability: where the image is unlike the training images,
    the confidence goes to chance by itself.

    Args:
        names: which; others are passed over. "navigator" is for masks with the evidence of two heads.
        heads: of the image; "mutual" and "navigator" also of single pixels, ``(M, C)``.
        evidential: see ``contract``.
        evidential_mask: see ``contract``.
        familiarity: f, broadcast over the maps, or None for 1.
        xp: ``numpy`` or ``keras.ops``.
    """
    found = {}
    if "mutual" in names:
        opinion = scaled_opinion(heads.mutual_head, evidential, familiarity, xp)
        found["mutual"] = log_odds(opinion.probability, xp)
    if "navigator" in names:
        own = unfused(heads.mask_head, heads.mutual_head)
        found["navigator"] = log_odds(scaled_opinion(own, True, familiarity, xp).probability, xp)
    if "surroundings" in names:
        drawn = drawn_probability(heads.mask_head, evidential_mask, xp)
        found["surroundings"] = surroundings(log_odds(drawn, xp), xp)
    return found


def contract(
    heads: Heads,
    evidential: bool,
    evidential_mask: bool,
    trust: Trust = NO_TRUST,
    xp: ModuleType = np,
) -> dict[str, Any]:
    """The outputs named in ``CONTRACT``.

    Args:
        heads: the heads' outputs.
        evidential: whether the class head and the mutual head are Dirichlet heads.
        evidential_mask: whether the head that draws the mask is one.
        trust: what was fitted.
        xp: ``numpy`` or ``keras.ops``.

    Returns:
        ``class_probability`` (B, K), ``class_belief`` (B, K) and ``class_uncertainty`` (B, 1) of the class
        head; ``mask_probability`` (B, H, W, C) of the head that draws the mask; ``mask_belief`` (B, H, W, C)
        and ``mask_uncertainty`` (B, H, W, 1) of the same head where it is a Dirichlet head, else of the
        mutual head; ``class_confidence`` (B, 1) and ``mask_confidence`` (B, H, W, 1), the chance of being
        right for images like the validation images; ``familiarity`` (B, 1), how like the training images the
        image is. All in [0, 1]. The evidence is scaled by the familiarity before all else, and the
        probabilities are calibrated; belief and uncertainty add up to 1 as they are.
    """
    of_image = of_pixels = None
    if trust.density is not None:
        of_image = trust.density.familiarity(heads.features, heads.sharpness, xp)
        of_pixels = xp.reshape(of_image, (-1, 1, 1, 1))
    image = scaled_opinion(heads.class_head, evidential, of_image, xp)
    if evidential_mask:
        pixel = scaled_opinion(heads.mask_head, True, of_pixels, xp)
    else:
        drawn = faded(drawn_probability(heads.mask_head, False, xp), of_pixels)
        pixel = scaled_opinion(heads.mutual_head, evidential, of_pixels, xp)._replace(probability=drawn)
    read = () if trust.mask_confidence is None else trust.mask_confidence.weights
    beside = beside_pixels(read, heads, evidential, evidential_mask, of_pixels, xp)
    image = image._replace(probability=tempered(image.probability, trust.class_temperature, xp))
    pixel = pixel._replace(probability=tempered(pixel.probability, trust.mask_temperature, xp))
    values = (
        *image,
        *pixel,
        confidence(trust.class_confidence, image, of_image, xp=xp),
        confidence(trust.mask_confidence, pixel, of_pixels, beside, xp),
        # Always 1 where nothing is fitted, and computed, because exporters want no constant for an output.
        of_image if of_image is not None else xp.minimum(image.uncertainty + 1.0, 1.0),
    )
    return dict(zip(CONTRACT, values, strict=True))


def completed(outputs: dict[str, Any]) -> dict[str, Any]:
    """The contract of an older file, which has belief and uncertainty alone: NumPy arrays, nothing fitted."""
    return {
        **outputs,
        "class_confidence": outputs["class_probability"].max(axis=-1, keepdims=True),
        "mask_confidence": outputs["mask_probability"].max(axis=-1, keepdims=True),
        "familiarity": np.ones_like(outputs["class_uncertainty"]),
    }
