"""What a doctor's cup-to-disc ratio teaches of the cup, for images without a mask."""

from __future__ import annotations

from typing import Any

from keras import ops

_SMALLEST_HEIGHT = 1.0
"""Pixels that a disc without any height is taken for."""


def _height(probability: Any) -> Any:
    """Rows ``(B,)`` of a region ``(B, H, W)``: of each row its most probable pixel, drawn towards 0 or 1.

    Squared odds, because the small probabilities of the background would add up over its rows.
    """
    most = ops.max(probability, axis=2)
    region, other = most * most, (1.0 - most) * (1.0 - most)
    return ops.sum(region / (region + other), axis=1)


def cup_to_disc_loss(ratio: Any, probability: Any, cup: int, rim: int) -> Any:
    """|measured - true| vertical cup-to-disc ratio, ``(B,)``.

    The gradient flows to the cup alone: the disc, which masks of other images teach well, must not change its
    height for it.

    Args:
        ratio: ``(B,)`` true ratio, in [0, 1].
        probability: ``(B, H, W, C)`` of the pixels.
        cup: its class.
        rim: its class.
    """
    of_cup = probability[..., cup]
    disc = _height(ops.stop_gradient(of_cup + probability[..., rim]))
    return ops.abs(_height(of_cup) / ops.maximum(disc, _SMALLEST_HEIGHT) - ratio)
