"""Batch normalisation: frozen as in the published encoders, and trained with TensorFlow's one kernel."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from uml_tf.losses.replicas import gather_over_replicas, replica_count

MOMENTUM = 0.9
"""Of the moving statistics of trained norms: PyTorch's default, as in the published networks."""


@keras.saving.register_keras_serializable(package="uml_tf")
class FrozenBatchNorm(keras.layers.Layer):
    """Affine map by stored batch statistics, never trained and never updated.

    y = x * scale + (beta - mean * scale) with scale = gamma / sqrt(variance). The published encoders
    add no epsilon to the variance; a variance of zero is therefore an error of the checkpoint.

    Args:
        **kwargs: passed to ``keras.layers.Layer``.

    Shapes:
        input and output ``(B, ..., channels)``.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.trainable = False

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        shape = (input_shape[-1],)
        self.gamma = self.add_weight(shape=shape, initializer="ones", name="gamma")
        self.beta = self.add_weight(shape=shape, initializer="zeros", name="beta")
        self.mean = self.add_weight(shape=shape, initializer="zeros", name="mean")
        self.variance = self.add_weight(shape=shape, initializer="ones", name="variance")

    def call(self, inputs: Any) -> Any:
        scale = ops.cast(self.gamma, "float32") * ops.rsqrt(ops.cast(self.variance, "float32"))
        shift = ops.cast(self.beta, "float32") - ops.cast(self.mean, "float32") * scale
        return inputs * ops.cast(scale, inputs.dtype) + ops.cast(shift, inputs.dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape


@keras.saving.register_keras_serializable(package="uml_tf")
class BatchNorm(keras.layers.BatchNormalization):
    """Keras' batch normalisation of ``(B, H, W, D)``, trained through TensorFlow's fused kernel.

    Keras 3 computes the moments, the normalisation and their gradients as separate operations; the fused
    kernel makes an ``edge`` training step on CPU 1.13 times as fast (``benchmarks/batch_norm.py``), and it
    updates the moving variance with the unbiased batch variance, as PyTorch does.
    Where several replicas share a batch, its statistics are those of the whole batch, as on one: otherwise
    what is learned would depend on the number of devices. Inference and other backends are Keras' own.

    Args:
        **kwargs: as ``keras.layers.BatchNormalization``.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        own = (
            training and self.trainable and keras.backend.backend() == "tensorflow" and len(inputs.shape) == 4
        )
        if not own:
            return super().call(inputs, training=training, mask=mask)
        answer, mean, variance = self._shared(inputs) if replica_count() > 1 else self._fused(inputs)
        keep = self.momentum
        self.moving_mean.assign(self.moving_mean * keep + mean * (1.0 - keep))
        self.moving_variance.assign(self.moving_variance * keep + variance * (1.0 - keep))
        return answer

    def _fused(self, inputs: Any) -> tuple[Any, Any, Any]:
        """(normalised inputs, mean, unbiased variance)."""
        import tensorflow as tf

        answer, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=tf.cast(self.gamma, tf.float32),
            offset=tf.cast(self.beta, tf.float32),
            mean=[],
            variance=[],
            epsilon=self.epsilon,
            is_training=True,
        )
        return answer, mean, variance

    def _shared(self, inputs: Any) -> tuple[Any, Any, Any]:
        """As ``_fused``, over every replica's inputs.

        The replicas' means and variances are joined as Chan, Golub and LeVeque (1983) do; sums of
        squares would lose digits where a mean is large.
        """
        x = ops.cast(inputs, "float32")
        own = ops.stack(ops.moments(x, axes=(0, 1, 2)))
        means, variances = ops.unstack(gather_over_replicas(own), axis=1)
        mean = ops.mean(means, axis=0)
        variance = ops.mean(variances + ops.square(means - mean), axis=0)
        scale = ops.rsqrt(variance + self.epsilon) * ops.cast(self.gamma, "float32")
        answer = (x - mean) * scale + ops.cast(self.beta, "float32")
        values = ops.cast(ops.prod(ops.shape(x)[:3]) * replica_count(), "float32")
        return ops.cast(answer, inputs.dtype), mean, variance * values / (values - 1.0)


def with_fused_batch_norms(model: keras.Model, momentum: float) -> keras.Model:
    """The same functional model with every ``BatchNormalization`` replaced by ``BatchNorm``.

    Weights are kept. The momentum of the moving statistics becomes ``momentum``: with Keras' 0.99 they
    trail the weights by more steps than a small data set has in an epoch, and validation with them.
    """

    def replace(layer: keras.layers.Layer) -> keras.layers.Layer:
        if type(layer) is keras.layers.BatchNormalization:
            return BatchNorm.from_config({**layer.get_config(), "momentum": momentum})
        return type(layer).from_config(layer.get_config())

    clone = keras.models.clone_model(model, clone_function=replace)
    clone.set_weights(model.get_weights())
    return clone
