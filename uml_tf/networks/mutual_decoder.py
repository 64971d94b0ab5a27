"""The mutual decoder: class logits of every pixel from the mutual features, level by level."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras

from uml_tf.networks.block_specs import ConvStyle, MutualDecoderSpec, UpStyle
from uml_tf.networks.convolution import pointwise
from uml_tf.networks.decoder import UpBlock


@dataclass(frozen=True)
class MutualOutput:
    """What the mutual decoder returns: lists by level, finest first, at each level's own size.

    Attributes:
        logits: ``(B, h, w, C)`` per supervised level, before the evidential head.
        feature: ``(B, h1, w1, D)``, the finest decoder feature.
    """

    logits: list[Any]
    feature: Any


def adjust_levels(levels: list[Any], adjust: tuple[int, int, int] | None, name: str) -> list[Any]:
    """Brings the features of levels 2, 3, 4 to the decoder's widths (levels finest first)."""
    if adjust is None:
        return levels
    adjusted = [levels[0]]
    for level, filters in zip((2, 3, 4), reversed(adjust), strict=True):
        adjusted.append(pointwise(filters, False, f"{name}_adjust_{level}")(levels[level - 1]))
    return adjusted


def mutual_decoder(
    mutual: list[Any], spec: MutualDecoderSpec, classes: int, up: UpStyle, conv: ConvStyle
) -> MutualOutput:
    """Decodes the mutual features m1..m4 (finest first, ``(B, h, w, D)``) to logits per level."""
    levels = adjust_levels(mutual, spec.adjust, "mutual")
    features = [levels[3]]
    for level, filters in zip((3, 2, 1), spec.widths, strict=True):
        block = UpBlock(filters, up, conv, name=f"mutual_up_{level}")
        features.insert(0, block([features[0], levels[level - 1]]))
    logits = []
    for level, hidden in enumerate(spec.head_widths, start=1):
        convolutions = keras.Sequential(
            [pointwise(hidden, False, "hidden"), pointwise(classes, False, "logits")],
            name=f"mutual_logits_{level}",
        )
        logits.append(convolutions(features[level - 1]))
    return MutualOutput(logits, features[0])
