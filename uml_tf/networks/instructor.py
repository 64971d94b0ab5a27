"""The Uncertainty Instructor: the class, from a feature that the reliable segmentation instructs."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from uml_tf.networks.block_specs import ConvStyle, InstructorSpec
from uml_tf.networks.convolution import DoubleConv, SeparableConv, batch_norm
from uml_tf.networks.dropout import Dropout, PathDropout, SpatialDropout2D

_LARGEST_RELU6 = 6.0


def _inside(feature: Any, regions: Any) -> list[Any]:
    """The largest values of the feature within each region: ``(B, D)`` by region."""
    return [
        keras.layers.GlobalMaxPooling2D(name=f"instructor_inside_{index}")(
            feature * regions[..., index : index + 1]
        )
        for index in range(regions.shape[-1])
    ]


def _measures(regions: Any) -> list[Any]:
    """How much of each region there is where it is most, and over the picture: two vectors ``(B, C - 1)``.

    The largest value of a region's map tells whether the network found the region at all, which on breast
    ultrasound separates normal images from others better than the class feature does. The areas of cup and
    rim hold the cup-to-disc ratio.
    """
    most = keras.layers.GlobalMaxPooling2D(name="instructor_most")(regions)
    share = keras.layers.GlobalAveragePooling2D(name="instructor_share")(regions)
    return [most, share]


def _with_mask(pooled: Any, feature: Any, regions: Any, mask_alone: float) -> Any:
    """The pooled feature, joined by what the mask says about the class."""
    measures, inside = _measures(regions), _inside(feature, regions)
    if not mask_alone:
        return ops.concatenate([pooled, *measures, *inside], axis=-1)
    # The areas vary by hundredths: as they are, their weights would not grow in a training's few steps.
    normalised = batch_norm("instructor_measures", of_mask=False)(ops.concatenate(measures, axis=-1))
    seen = ops.concatenate([pooled, *inside], axis=-1)
    return ops.concatenate([PathDropout(mask_alone, name="instructor_path")(seen), normalised], axis=-1)


def instructor(
    feature: Any, eta: Any | None, regions: Any | None, spec: InstructorSpec, classes: int, conv: ConvStyle
) -> Any:
    """Class logits ``(B, K)`` from the coarsest feature, instructed by eta (UML, section 2.4).

    Args:
        feature: ``(B, h4, w4, D)`` classification feature.
        eta: ``(B, h4, w4, E)`` reliable feature of the segmentation, or None: the ablation without
            the instructor.
        regions: ``(B, h4, w4, C - 1)`` probability of every foreground class of the final mask, or None.
        spec: widths.
        classes: K.
        conv: how the double convolution on eta is made.
    """
    for index, width in enumerate(spec.widths, start=1):
        name = f"instructor_conv_{index}"
        feature = SeparableConv(width, dilation=2, name=name)(feature)
        feature = batch_norm(f"{name}_norm", of_mask=False)(feature)
        feature = keras.layers.Activation(conv.activation, name=f"{name}_act")(feature)
        if spec.dropout:
            feature = SpatialDropout2D(spec.dropout, name=f"{name}_dropout")(feature)
    if eta is not None:
        reliable = DoubleConv(spec.widths[-1], conv, of_mask=False, name="instructor_reliable")
        instruction = reliable(eta)
        if spec.bounded:
            instruction = instruction * (1.0 / _LARGEST_RELU6)
        feature = feature + feature * instruction
    pooled = keras.layers.GlobalAveragePooling2D(name="instructor_pool")(feature)
    if regions is not None:
        pooled = _with_mask(pooled, feature, regions, spec.mask_alone)
    if spec.dropout_dense:
        pooled = Dropout(spec.dropout_dense, name="instructor_dropout")(pooled)
    return keras.layers.Dense(classes, use_bias=False, name="instructor_logits")(pooled)
