"""Soft Dice over the whole batch or image by image, on however many replicas."""

from __future__ import annotations

from typing import Any

from keras import ops

from uml_tf.losses.replicas import ratio_over_replicas, sum_over_replicas

SMOOTH = 1e-5


def _weighted(target: Any, probability: Any, weight: Any) -> tuple[Any, Any]:
    """Both with the weights of ``(B,)`` images or ``(B, H, W)`` pixels, as float32."""
    weight = ops.cast(weight, "float32")
    weight = ops.expand_dims(weight, -1) if len(weight.shape) == 3 else ops.reshape(weight, (-1, 1, 1, 1))
    return target * weight, ops.cast(probability, "float32") * weight


def image_dice_loss(target: Any, probability: Any, weight: Any) -> Any:
    """Mean of -log d over the classes that the images' masks show, d as in ``soft_dice_loss`` of one image.

    Every region counts the same, however small it is; over the whole batch, a large region hides that a small
    one was missed. Classes that an image's mask does not show are left to the cross-entropy.

    Args:
        target: ``(B, H, W, C)`` one-hot masks.
        probability: ``(B, H, W, C)`` in [0, 1].
        weight: ``(B,)`` or ``(B, H, W)``, see ``soft_dice_loss``; an image has the mean of its pixels'.

    Returns:
        Scalar, at least 0; exactly 0 when every weight is 0.
    """
    target, probability = _weighted(target, probability, weight)
    overlap, size, found = (
        ops.sum(values, axis=(1, 2)) for values in (target * probability, target, probability)
    )
    loss = -ops.log((2.0 * overlap + SMOOTH) / (size + found + SMOOTH))
    weight = ops.cast(weight, "float32")
    of_image = ops.mean(ops.reshape(weight, (ops.shape(weight)[0], -1)), axis=1, keepdims=True)
    share = ops.cast(size > 0, "float32") * of_image
    return ratio_over_replicas(ops.sum(loss * share), ops.sum(share))


def soft_dice_loss(target: Any, probability: Any, weight: Any, skip_absent: bool = False) -> Any:
    """mean_c(-log d_c), d_c = (2 sum g p + 1e-5) / (sum g + sum p + 1e-5) over the whole batch.

    Args:
        target: ``(B, H, W, C)`` one-hot masks g.
        probability: ``(B, H, W, C)`` p in [0, 1].
        weight: ``(B,)``, 1 for an image with a mask, 0 for one without; or ``(B, H, W)``, 1 for a pixel whose
            class is known, 0 for one whose class is not.
        skip_absent: take the mean over the classes that the batch's masks show. By the formula alone a
            class that no mask shows costs log(sum p / 1e-5), with a gradient of 1 / sum p that grows as
            the network gets it right; small data sets with empty masks meet such batches often.

    Returns:
        Scalar, at least 0; exactly 0 when every weight is 0.
    """
    target, probability = _weighted(target, probability, weight)
    axes = (0, 1, 2)
    sums = [ops.sum(values, axis=axes) for values in (target * probability, target, probability)]
    overlap, size, found = ops.unstack(sum_over_replicas(ops.stack(sums)))
    loss = -ops.log((2.0 * overlap + SMOOTH) / (size + found + SMOOTH))
    if not skip_absent:
        return ops.mean(loss)
    present = ops.cast(size > 0, "float32")
    return ops.sum(loss * present) / ops.maximum(ops.sum(present), 1.0)
