"""The output contract: the names that every model returns, and how they follow from its heads.

Shared by the network (``keras.ops``) and by the host that completes a strictly integer network (NumPy).

A head's output depends on its kind, and is never evidence:
    - Dirichlet head: the concentration alpha = softplus(logits) + 1.
    - Softmax head (the ablation without evidential heads): the logits; the softmax follows here.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from uml_tf.runtime.evidence import (
    Opinion,
    concentration_from_logits,
    opinion_from_concentration,
    opinion_from_probability,
    uncertainty_from_concentration,
)

CONTRACT = (
    "class_probability",
    "class_belief",
    "class_uncertainty",
    "mask_probability",
    "mask_belief",
    "mask_uncertainty",
)
"""The names that every model returns, Keras or exported; ``contract`` gives their meaning."""

LOGITS = ("class_logits", "mutual_logits", "segmentation_logits")
"""The inputs of the heads, maps at the finest level's own size; the contract follows from them alone."""


def softmax(logits: Any, xp: ModuleType = np) -> Any:
    """Softmax of ``(..., K)`` over the last axis."""
    if hasattr(xp, "softmax"):
        return xp.softmax(logits, axis=-1)
    powers = xp.exp(logits - xp.max(logits, axis=-1, keepdims=True))
    return powers / xp.sum(powers, axis=-1, keepdims=True)


def head_output(logits: Any, evidential: bool, xp: ModuleType = np) -> Any:
    """A head's output of its ``(..., K)`` logits: the concentration, or the logits of a softmax head."""
    return concentration_from_logits(logits, xp) if evidential else logits


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


def contract(
    class_head: Any,
    mutual_head: Any,
    mask_head: Any,
    evidential: bool,
    evidential_mask: bool,
    xp: ModuleType = np,
) -> dict[str, Any]:
    """The outputs named in ``CONTRACT``.

    Args:
        class_head: ``(B, K)`` output of the class head.
        mutual_head: ``(B, H, W, C)`` output of the finest mutual head, resized to the input size.
        mask_head: ``(B, H, W, C)`` output of the head that draws the mask, resized to the input size: a
            concentration, or the logits of a softmax.
        evidential: whether the class head and the mutual head are Dirichlet heads.
        evidential_mask: whether the head that draws the mask is one.
        xp: ``numpy`` or ``keras.ops``.

    Returns:
        ``class_probability`` (B, K), ``class_belief`` (B, K) and ``class_uncertainty`` (B, 1) of the class
        head; ``mask_probability`` (B, H, W, C) of the head that draws the mask; ``mask_belief`` (B, H, W, C)
        and ``mask_uncertainty`` (B, H, W, 1) of the same head where it is a Dirichlet head, else of the
        mutual head. All in [0, 1].
    """
    if evidential_mask:
        pixel = opinion_from_concentration(mask_head, xp)
    else:
        pixel = head_opinion(mutual_head, evidential, xp)._replace(probability=softmax(mask_head, xp))
    values = (*head_opinion(class_head, evidential, xp), *pixel)
    return dict(zip(CONTRACT, values, strict=True))
