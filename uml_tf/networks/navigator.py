"""The Uncertainty Navigator: decodes the final segmentation and gives uncertain pixels less weight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from keras import ops

from uml_tf.networks.block_specs import ConvStyle, NavigatorSpec, UpStyle
from uml_tf.networks.convolution import pointwise
from uml_tf.networks.decoder import UpBlock
from uml_tf.networks.junctions import CertainFeature, ReliableMaskJunction, UncertaintyGate
from uml_tf.networks.mutual_decoder import adjust_levels


@dataclass(frozen=True)
class NavigatorInputs:
    """What the navigator reads; lists by level, finest first.

    Attributes:
        segmentation: ``(B, h, w, D)`` features s1..s4 of the segmentation encoder.
        mutual: ``(B, h, w, D)`` mutual features m1..m4.
        mutual_feature: ``(B, h1, w1, D)`` finest feature of the mutual decoder.
        scores: ``(B, h1, w1, C)`` class scores of the mutual head at level 1: the evidence, or the
            logits of a softmax head.
        uncertainty: ``(B, h1, w1, 1)`` pixel uncertainty at level 1, or None for the plain decoder of the
            ablation without the navigator.
    """

    segmentation: list[Any]
    mutual: list[Any]
    mutual_feature: Any
    scores: Any
    uncertainty: Any


@dataclass(frozen=True)
class NavigatorOutput:
    """The final segmentation.

    Attributes:
        logits: ``(B, h, w, C)`` by supervised level, finest first; the first is the segmentation.
        feature: ``(B, h1, w1, D)`` the finest decoder feature, from which eta is taken.
        reliable_masks: level -> ``(B, h, w, C)``, the concat kind's reliable masks.
    """

    logits: list[Any]
    feature: Any
    reliable_masks: dict[int, Any]


def _attention_navigator(
    inputs: NavigatorInputs, spec: NavigatorSpec, classes: int, up: UpStyle, conv: ConvStyle
) -> NavigatorOutput:
    levels = adjust_levels(inputs.segmentation, spec.adjust, "navigator")
    feature = levels[3]
    for level, filters in zip((3, 2, 1), spec.widths, strict=True):
        skip = levels[level - 1]
        if inputs.uncertainty is not None:
            gate = UncertaintyGate(
                2 ** (level - 1), spec.reduce_average, spec.tile, name=f"navigator_gate_{level}"
            )
            skip = gate([skip, inputs.uncertainty, inputs.mutual_feature])
        feature = UpBlock(filters, up, conv, name=f"navigator_up_{level}")([feature, skip])
    logits = pointwise(classes, False, "navigator_logits_1")(feature)
    return NavigatorOutput([logits], feature, {})


def _concat_navigator(
    inputs: NavigatorInputs, spec: NavigatorSpec, classes: int, up: UpStyle, conv: ConvStyle
) -> NavigatorOutput:
    masks = {}

    def with_reliable_mask(feature: Any, logits: Any, level: int) -> Any:
        if inputs.uncertainty is None:
            return feature
        junction = ReliableMaskJunction(2 ** (level - 1), conv.dropout, name=f"navigator_reliable_{level}")
        feature, masks[level] = junction([feature, logits, inputs.scores, inputs.uncertainty])
        return feature

    bottom = ops.concatenate([inputs.segmentation[3], inputs.mutual[3]], axis=-1)
    if inputs.uncertainty is not None:
        bottom = CertainFeature(8, name="navigator_certain_4")([bottom, inputs.uncertainty])
    feature = pointwise(spec.bottom, False, "navigator_bottom")(bottom)
    logits = [pointwise(classes, False, "navigator_logits_4")(feature)]
    feature = with_reliable_mask(feature, logits[0], 4)
    for level, filters in zip((3, 2, 1), spec.widths, strict=True):
        block = UpBlock(filters, up, conv, name=f"navigator_up_{level}")
        feature = block([feature, inputs.segmentation[level - 1]])
        logits.insert(0, pointwise(classes, False, f"navigator_logits_{level}")(feature))
    feature = with_reliable_mask(feature, logits[0], 1)
    return NavigatorOutput(logits, feature, masks)


def navigator(
    inputs: NavigatorInputs, spec: NavigatorSpec, classes: int, up: UpStyle, conv: ConvStyle
) -> NavigatorOutput:
    """The final segmentation logits and the feature that eta is taken from (UML, section 2.3)."""
    build = _attention_navigator if spec.kind == "attention" else _concat_navigator
    return build(inputs, spec, classes, up, conv)
