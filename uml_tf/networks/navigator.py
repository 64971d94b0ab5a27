"""The Uncertainty Navigator: decodes the final segmentation, doubting where the pixels are doubted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from keras import ops

from uml_tf.networks.convolution import batch_norm, pointwise
from uml_tf.networks.decoder import UpBlock
from uml_tf.networks.dropout import SpatialDropout2D
from uml_tf.networks.mutual_decoder import adjust_levels
from uml_tf.networks.resize import reduce_by
from uml_tf.networks.spec import ConvStyle, NavigatorSpec, UpStyle


@dataclass(frozen=True)
class NavigatorInputs:
    """What the navigator reads; lists by level, finest first.

    Attributes:
        segmentation: ``(B, h, w, D)`` features s1..s4 of the segmentation encoder.
        mutual: ``(B, h, w, D)`` mutual features m1..m4.
        mutual_feature: ``(B, h1, w1, D)`` finest feature of the mutual decoder.
        evidence: ``(B, h1, w1, C)`` mutual evidence at level 1.
        uncertainty: ``(B, h1, w1, 1)`` pixel uncertainty at level 1, or None: the plain decoder of the
            ablation without the navigator.
    """

    segmentation: list[Any]
    mutual: list[Any]
    mutual_feature: Any
    evidence: Any
    uncertainty: Any


@dataclass(frozen=True)
class NavigatorOutput:
    """The final segmentation.

    Attributes:
        logits: ``(B, h, w, C)`` by supervised level, finest first; the first is the answer.
        feature: ``(B, h1, w1, D)`` the finest decoder feature, from which eta is taken.
        reliable_masks: level -> ``(B, h, w, C)``, the concat kind's reliable masks.
    """

    logits: list[Any]
    feature: Any
    reliable_masks: dict[int, Any]


def _certainty(uncertainty: Any, dtype: Any) -> Any:
    """exp(-u), in [exp(-1), 1)."""
    # Multiplied by -1: TFLite has no int8 negation.
    return ops.cast(ops.exp(uncertainty * -1.0), dtype)


def _gate_skip(x: Any, inputs: NavigatorInputs, spec: NavigatorSpec, level: int) -> Any:
    """The attention junction: skip * psi, psi from the certain skip and the mutual feature."""
    factor = 2 ** (level - 1)
    uncertainty, mutual = inputs.uncertainty, inputs.mutual_feature
    if factor > 1:
        reduce = reduce_by(factor, spec.reduce_average, f"navigator_reduce_{level}")
        uncertainty, mutual = reduce(uncertainty), reduce(mutual)
    if spec.tile:
        mutual = ops.tile(mutual, (1, 1, 1, x.shape[-1] // mutual.shape[-1]))
    certain = x * _certainty(uncertainty, x.dtype)
    half, name = x.shape[-1] // 2, f"navigator_gate_{level}"
    joined = batch_norm(f"{name}_skip_norm")(pointwise(half, True, f"{name}_skip")(certain))
    joined += batch_norm(f"{name}_mutual_norm")(pointwise(half, True, f"{name}_mutual")(mutual))
    psi = pointwise(1, True, f"{name}_psi")(ops.relu(joined))
    psi = ops.sigmoid(batch_norm(f"{name}_psi_norm")(psi))
    return certain * psi


def _attention_navigator(
    inputs: NavigatorInputs, spec: NavigatorSpec, classes: int, up: UpStyle, conv: ConvStyle
) -> NavigatorOutput:
    levels = adjust_levels(inputs.segmentation, spec.adjust, "navigator")
    feature = levels[3]
    for level, filters in zip((3, 2, 1), spec.widths, strict=True):
        skip = levels[level - 1]
        if inputs.uncertainty is not None:
            skip = _gate_skip(skip, inputs, spec, level)
        feature = UpBlock(filters, up, conv, name=f"navigator_up_{level}")([feature, skip])
    logits = pointwise(classes, False, "navigator_logits_1")(feature)
    return NavigatorOutput([logits], feature, {})


def _join_reliable_mask(
    feature: Any, logits: Any, inputs: NavigatorInputs, level: int, conv: ConvStyle
) -> tuple[Any, Any]:
    """The concat junction: (feature with the reliable mask joined in, the reliable mask)."""
    evidence, uncertainty = inputs.evidence, inputs.uncertainty
    if level > 1:
        reduce = reduce_by(2 ** (level - 1), False, f"navigator_reduce_{level}")
        evidence, uncertainty = reduce(evidence), reduce(uncertainty)
    mask = (ops.cast(logits, "float32") + evidence) * ops.exp(-uncertainty)
    width, name = feature.shape[-1], f"navigator_reliable_{level}"
    reliable = pointwise(width, False, f"{name}_conv")(mask)
    reliable = ops.relu(batch_norm(f"{name}_norm")(reliable))
    reliable = SpatialDropout2D(conv.dropout, name=f"{name}_dropout")(reliable)
    joined = pointwise(width, False, f"{name}_out")(
        ops.concatenate([feature, ops.cast(reliable, feature.dtype)], axis=-1)
    )
    return joined, mask


def _concat_navigator(
    inputs: NavigatorInputs, spec: NavigatorSpec, classes: int, up: UpStyle, conv: ConvStyle
) -> NavigatorOutput:
    bottom = ops.concatenate([inputs.segmentation[3], inputs.mutual[3]], axis=-1)
    if inputs.uncertainty is not None:
        small = reduce_by(8, False, "navigator_reduce_bottom")(inputs.uncertainty)
        bottom = bottom * _certainty(small, bottom.dtype)
    feature = pointwise(spec.bottom, False, "navigator_bottom")(bottom)
    logits = [pointwise(classes, False, "navigator_logits_4")(feature)]
    masks = {}
    if inputs.uncertainty is not None:
        feature, masks[4] = _join_reliable_mask(feature, logits[0], inputs, 4, conv)
    for level, filters in zip((3, 2, 1), spec.widths, strict=True):
        block = UpBlock(filters, up, conv, name=f"navigator_up_{level}")
        feature = block([feature, inputs.segmentation[level - 1]])
        logits.insert(0, pointwise(classes, False, f"navigator_logits_{level}")(feature))
    if inputs.uncertainty is not None:
        feature, masks[1] = _join_reliable_mask(feature, logits[0], inputs, 1, conv)
    return NavigatorOutput(logits, feature, masks)


def navigator(
    inputs: NavigatorInputs, spec: NavigatorSpec, classes: int, up: UpStyle, conv: ConvStyle
) -> NavigatorOutput:
    """The final segmentation logits and the feature that eta is taken from (UML, section 2.3)."""
    build = _attention_navigator if spec.kind == "attention" else _concat_navigator
    return build(inputs, spec, classes, up, conv)
