"""What the masks of a batch tell of their pixels: the class, one of several, or nothing."""

from __future__ import annotations

from typing import Any, NamedTuple

from keras import ops

from uml_tf.runtime.regions import ANY_REGION_PIXEL, UNKNOWN_PIXEL, class_is_known


class PixelTruth(NamedTuple):
    """The truth of ``(B, H, W)`` pixels of C classes, float32.

    Attributes:
        target: ``(B, H, W, C)``, 1 for the pixel's class and 0 for the others; where it is
            ``ANY_REGION_PIXEL``, 1 for every class but the background.
        weight: ``(B, H, W)`` of the pixel's own losses: that of its image, 0 where nothing is known.
        dice_weight: the same in the Dice, which needs the class: 0 also for ``ANY_REGION_PIXEL``.
        told: ``(B, H, W)``, 1 where something is known or the image has no mask, 0 for ``UNKNOWN_PIXEL``.
    """

    target: Any
    weight: Any
    dice_weight: Any
    told: Any


def pixel_truth(mask: Any, has_mask: Any, classes: int) -> PixelTruth:
    """The truth of a batch.

    Args:
        mask: ``(B, H, W)`` int, class indices and the two reserved values.
        has_mask: ``(B,)`` weight of each image's mask, 0 without one.
        classes: number of pixel classes, background first.
    """
    mask = ops.cast(mask, "int32")
    known = class_is_known(mask)
    one_hot = ops.one_hot(ops.where(known, mask, 0), classes)
    foreground = ops.cast(ops.arange(classes) > 0, one_hot.dtype)
    target = ops.where(ops.expand_dims(mask == ANY_REGION_PIXEL, -1), foreground, one_hot)
    told = ops.cast(mask != UNKNOWN_PIXEL, "float32")
    of_image = ops.reshape(ops.cast(has_mask, "float32"), (-1, 1, 1))
    return PixelTruth(target, told * of_image, ops.cast(known, "float32") * of_image, told)
