"""The output contract: the names that every model answers, and how they follow from the heads.

Shared by the network (``keras.ops``) and by the host that finishes an integer network's answer (NumPy).
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from uml_tf.runtime.evidence import (
    Opinion,
    evidence_from_logits,
    opinion_from_evidence,
    opinion_from_probability,
)

CONTRACT = (
    "class_probability",
    "class_belief",
    "class_uncertainty",
    "mask_probability",
    "mask_belief",
    "mask_uncertainty",
)
"""The names that every model answers, Keras or exported (DESIGN.md, section 3)."""

LOGITS = ("class_logits", "mutual_logits", "segmentation_logits")
"""What the heads read, maps at the finest level's own size; the contract follows from them alone."""


def softmax(logits: Any, xp: ModuleType = np) -> Any:
    """Softmax of ``(..., K)`` over the last axis."""
    if hasattr(xp, "softmax"):
        return xp.softmax(logits, axis=-1)
    powers = xp.exp(logits - xp.max(logits, axis=-1, keepdims=True))
    return powers / xp.sum(powers, axis=-1, keepdims=True)


def opinion(evidence: Any, evidential: bool, xp: ModuleType = np) -> Opinion:
    """The opinion of a head: of its evidence, or of its logits in a network without evidential heads."""
    if evidential:
        return opinion_from_evidence(evidence, xp)
    return opinion_from_probability(softmax(evidence, xp), xp)


def contract(
    class_evidence: Any,
    mutual_evidence: Any,
    segmentation_logits: Any,
    evidential: bool,
    xp: ModuleType = np,
) -> dict[str, Any]:
    """The contract's answers.

    Args:
        class_evidence: ``(B, K)``, in a network without evidential heads its logits.
        mutual_evidence: ``(B, H, W, C)`` at input size, likewise.
        segmentation_logits: ``(B, H, W, C)`` at input size.
        evidential: whether the heads are Dirichlet heads.
        xp: ``numpy`` or ``keras.ops``.
    """
    pixel = opinion(mutual_evidence, evidential, xp)
    values = (
        *opinion(class_evidence, evidential, xp),
        softmax(segmentation_logits, xp),
        pixel.belief,
        pixel.uncertainty,
    )
    return dict(zip(CONTRACT, values, strict=True))


def head_output(logits: Any, evidential: bool, xp: ModuleType = np) -> Any:
    """What ``contract`` takes of a head's logits: evidence, or the logits themselves."""
    return evidence_from_logits(logits, xp) if evidential else logits
