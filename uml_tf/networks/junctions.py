"""The junctions of the navigator: where the pixel uncertainty u enters the decoder, as certainty exp(-u)."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from uml_tf.networks.convolution import batch_norm, pointwise
from uml_tf.networks.dropout import SpatialDropout2D
from uml_tf.networks.resize import reduce_by


def _certainty(uncertainty: Any, dtype: Any) -> Any:
    """exp(-u), in [exp(-1), 1)."""
    # A product, because TFLite has no int8 negation.
    return ops.cast(ops.exp(uncertainty * -1.0), dtype)


@keras.saving.register_keras_serializable(package="uml_tf")
class UncertaintyGate(keras.layers.Layer):
    """The attention junction: certain * psi, with certain = skip * exp(-u) and psi in (0, 1).

    psi = sigmoid(norm(conv(relu(norm(conv(certain)) + norm(conv(mutual)))))), all convolutions 1x1.

    Args:
        factor: by how much the skip is smaller than the uncertainty and the mutual feature.
        reduce_average: see ``NavigatorSpec``.
        tile: see ``NavigatorSpec``.
        **kwargs: passed to ``keras.layers.Layer``.

    Shapes:
        ``[(B, h, w, D), (B, h1, w1, 1), (B, h1, w1, E)]``, skip, uncertainty and mutual feature, to
        ``(B, h, w, D)``.
    """

    def __init__(self, factor: int, reduce_average: bool, tile: bool, **kwargs: Any) -> None:
        # Not cast to the network's precision: the uncertainty stays float32 until its exponential is taken.
        super().__init__(autocast=False, **kwargs)
        self.factor = factor
        self.reduce_average = reduce_average
        self.tile = tile
        self.reduce_mutual = reduce_by(factor, reduce_average, "reduce_mutual")
        self.reduce_uncertainty = reduce_by(factor, reduce_average, "reduce_uncertainty", "float32")

    def build(self, input_shape: list[tuple[Any, ...]]) -> None:
        skip, _, mutual = input_shape
        half = skip[-1] // 2
        self.skip = pointwise(half, True, "skip")
        self.skip_norm = batch_norm("skip_norm")
        self.mutual = pointwise(half, True, "mutual")
        self.mutual_norm = batch_norm("mutual_norm")
        self.psi = pointwise(1, True, "psi")
        self.psi_norm = batch_norm("psi_norm")
        joined = (*skip[:-1], half)
        self.skip.build(skip)
        self.mutual.build((*skip[:-1], skip[-1] if self.tile else mutual[-1]))
        self.skip_norm.build(joined)
        self.mutual_norm.build(joined)
        self.psi.build(joined)
        self.psi_norm.build((*skip[:-1], 1))

    def call(self, inputs: list[Any], training: bool | None = None) -> Any:
        skip, uncertainty, mutual = inputs
        if self.factor > 1:
            uncertainty, mutual = self.reduce_uncertainty(uncertainty), self.reduce_mutual(mutual)
        if self.tile:
            mutual = ops.tile(mutual, (1, 1, 1, skip.shape[-1] // mutual.shape[-1]))
        certain = skip * _certainty(uncertainty, skip.dtype)
        joined = self.skip_norm(self.skip(certain), training=training)
        joined += self.mutual_norm(self.mutual(mutual), training=training)
        psi = self.psi_norm(self.psi(ops.relu(joined)), training=training)
        return certain * ops.sigmoid(psi)

    def compute_output_shape(self, input_shape: list[tuple[Any, ...]]) -> tuple[Any, ...]:
        return tuple(input_shape[0])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "factor": self.factor,
            "reduce_average": self.reduce_average,
            "tile": self.tile,
        }


@keras.saving.register_keras_serializable(package="uml_tf")
class CertainFeature(keras.layers.Layer):
    """A coarse feature times exp(-u), u reduced to its size.

    Args:
        factor: by how much the feature is smaller than the uncertainty.
        **kwargs: passed to ``keras.layers.Layer``.

    Shapes:
        ``[(B, h, w, D), (B, h1, w1, 1)]``, feature and uncertainty, to ``(B, h, w, D)``.
    """

    def __init__(self, factor: int, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.factor = factor
        self.reduce = reduce_by(factor, False, "reduce", "float32")

    def call(self, inputs: list[Any]) -> Any:
        feature, uncertainty = inputs
        return feature * _certainty(self.reduce(uncertainty), feature.dtype)

    def compute_output_shape(self, input_shape: list[tuple[Any, ...]]) -> tuple[Any, ...]:
        return tuple(input_shape[0])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": self.factor}


@keras.saving.register_keras_serializable(package="uml_tf")
class ReliableMaskJunction(keras.layers.Layer):
    """The concat junction: joins the reliable mask (logits + scores) * exp(-u) into a feature.

    Args:
        factor: by how much the feature is smaller than the scores and the uncertainty.
        dropout: spatial dropout rate of the mask's feature, in [0, 1).
        **kwargs: passed to ``keras.layers.Layer``.

    Shapes:
        ``[(B, h, w, D), (B, h, w, C), (B, h1, w1, C), (B, h1, w1, 1)]``, feature, logits, scores and
        uncertainty, to (the joined feature ``(B, h, w, D)``, the reliable mask ``(B, h, w, C)``, float32).
    """

    def __init__(self, factor: int, dropout: float, **kwargs: Any) -> None:
        # Not cast to the network's precision: float16 cannot hold large evidence.
        super().__init__(autocast=False, **kwargs)
        self.factor = factor
        self.rate = dropout
        self.reduce = reduce_by(factor, False, "reduce", "float32")

    def build(self, input_shape: list[tuple[Any, ...]]) -> None:
        feature, logits, *_ = input_shape
        width = feature[-1]
        self.conv = pointwise(width, False, "conv")
        self.norm = batch_norm("norm")
        self.dropout = SpatialDropout2D(self.rate, name="dropout")
        self.out = pointwise(width, False, "out")
        self.conv.build(logits)
        self.norm.build(feature)
        self.out.build((*feature[:-1], 2 * width))

    def call(self, inputs: list[Any], training: bool | None = None) -> tuple[Any, Any]:
        feature, logits, scores, uncertainty = inputs
        if self.factor > 1:
            scores, uncertainty = self.reduce(scores), self.reduce(uncertainty)
        mask = (ops.cast(logits, "float32") + scores) * _certainty(uncertainty, "float32")
        reliable = ops.relu(self.norm(self.conv(mask), training=training))
        reliable = ops.cast(self.dropout(reliable, training=training), feature.dtype)
        return self.out(ops.concatenate([feature, reliable], axis=-1)), mask

    def compute_output_shape(self, input_shape: list[tuple[Any, ...]]) -> tuple[Any, Any]:
        return tuple(input_shape[0]), tuple(input_shape[1])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": self.factor, "dropout": self.rate}
