"""Soft Dice over the whole batch."""

from __future__ import annotations

from typing import Any

from keras import ops

SMOOTH = 1e-5


def soft_dice_loss(target: Any, probability: Any, weight: Any) -> Any:
    """mean_c(-log d_c), d_c = (2 sum g p + 1e-5) / (sum g + sum p + 1e-5) over the whole batch.

    Args:
        target: ``(B, H, W, C)`` one-hot masks g.
        probability: ``(B, H, W, C)`` p in [0, 1].
        weight: ``(B,)`` 1 for an image with a mask, 0 for one without.

    Returns:
        Scalar, at least 0; exactly 0 when no image of the batch has a mask.
    """
    weight = ops.reshape(ops.cast(weight, "float32"), (-1, 1, 1, 1))
    target, probability = target * weight, ops.cast(probability, "float32") * weight
    axes = (0, 1, 2)
    overlap = 2.0 * ops.sum(target * probability, axis=axes) + SMOOTH
    total = ops.sum(target, axis=axes) + ops.sum(probability, axis=axes) + SMOOTH
    return -ops.mean(ops.log(overlap / total))
