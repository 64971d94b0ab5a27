"""Batch normalisation: frozen as in the published encoders, or trained through TensorFlow's fused kernel."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from uml_tf.losses.replicas import gather_over_replicas, replica_count
from uml_tf.networks.counted_images import counted_images, of_device
from uml_tf.networks.moving_statistics import move

MOMENTUM = 0.9
"""Momentum of the moving statistics of trained norms: PyTorch's default, as in the published networks."""


def frozen_batch_norm(name: str) -> keras.layers.BatchNormalization:
    """An affine map by stored batch statistics, never trained and never updated.

    The published encoders add no epsilon to the variance: a variance of zero is an error of the checkpoint.
    """
    return keras.layers.BatchNormalization(epsilon=0.0, trainable=False, name=name)


def _shares_statistics() -> bool:
    return replica_count() > 1 and not of_device()


def _joined(count: Any, mean: Any, variance: Any) -> tuple[Any, Any, Any]:
    """Mean ``(D,)``, variance ``(D,)`` and count of every replica's values, from those of its own.

    Joined as Chan, Golub and LeVeque (1983) do; sums of squares would lose digits where a mean is large.
    """
    own = ops.concatenate([ops.reshape(ops.cast(count, "float32"), (1,)), mean, variance])
    gathered = gather_over_replicas(own)
    counts, channels = gathered[:, :1], mean.shape[0]
    means, variances = gathered[:, 1 : 1 + channels], gathered[:, 1 + channels :]
    total = ops.sum(counts)
    shares = counts / total
    joined = ops.sum(shares * means, axis=0)
    return joined, ops.sum(shares * (variances + ops.square(means - joined)), axis=0), total


@keras.saving.register_keras_serializable(package="uml_tf")
class BatchNormalization(keras.layers.BatchNormalization):
    """Keras' batch normalisation of ``(B, H, W, D)``, trained through TensorFlow's fused kernel.

    Keras 3 computes the moments, the normalisation and their gradients as separate operations. The fused
    kernel makes an ``edge`` training step on CPU 1.1 to 1.3 times as fast (``benchmarks/batch_norm.py``), and
    it updates the moving variance with the unbiased batch variance, as PyTorch does.

    Where several replicas share a batch, the statistics are those of the whole batch; otherwise the trained
    weights would depend on the number of devices. Inside ``statistics_of`` those of a norm that serves
    the mask are of some images, or those of all norms are of the device's own images. Inference and other
    backends use Keras' own code. The class keeps Keras' name, because weight files name a layer by its class.

    Args:
        of_mask: the norm lies on the mask's way alone, and not in an encoder or on the way to the class.
        **kwargs: as ``keras.layers.BatchNormalization``.
    """

    def __init__(self, of_mask: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.of_mask = of_mask

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "of_mask": self.of_mask}

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        fused = (
            training and self.trainable and keras.backend.backend() == "tensorflow" and len(inputs.shape) == 4
        )
        if not fused:
            return super().call(inputs, training=training, mask=mask)
        counted = counted_images() if self.of_mask else None
        if counted is not None:
            normalised, mean, variance = self._of_counted(inputs, counted)
        elif _shares_statistics():
            normalised, mean, variance = self._shared(inputs)
        else:
            normalised, mean, variance = self._fused(inputs)
        for moving, of_batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            move(moving, of_batch, self.momentum)
        return normalised

    def _fused(self, inputs: Any) -> tuple[Any, Any, Any]:
        """(normalised inputs, mean, unbiased variance)."""
        import tensorflow as tf

        normalised, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=tf.cast(self.gamma, tf.float32),
            offset=tf.cast(self.beta, tf.float32),
            mean=[],
            variance=[],
            epsilon=self.epsilon,
            is_training=True,
        )
        return normalised, mean, variance

    def _shared(self, inputs: Any) -> tuple[Any, Any, Any]:
        """As ``_fused``, over every replica's inputs."""
        x = ops.cast(inputs, "float32")
        mean, variance, replicas = _joined(1.0, *ops.moments(x, axes=(0, 1, 2)))
        scale = ops.rsqrt(variance + self.epsilon) * ops.cast(self.gamma, "float32")
        normalised = (x - mean) * scale + ops.cast(self.beta, "float32")
        values = replicas * ops.cast(ops.prod(ops.shape(x)[:3]), "float32")
        return ops.cast(normalised, inputs.dtype), mean, variance * values / (values - 1.0)

    def _of_counted(self, inputs: Any, counted: Any) -> tuple[Any, Any, Any]:
        """As ``_shared``, with the statistics of the counted images.

        The others do not change them by their gradients either.

        Args:
            inputs: ``(B, H, W, D)``.
            counted: ``(B,)``, 1 or 0.
        """
        x = ops.cast(inputs, "float32")
        own_count = ops.sum(counted)
        weights = (counted / ops.maximum(own_count, 1e-9))[:, None]
        own_mean = ops.sum(weights * ops.mean(x, axis=(1, 2)), axis=0)
        squares = ops.mean(ops.square(x - own_mean), axis=(1, 2))
        mean, variance, count = own_mean, ops.sum(weights * squares, axis=0), own_count
        if _shares_statistics():
            mean, variance, count = _joined(own_count, mean, variance)
        counts = (counted > 0)[:, None, None, None]
        mean_of = ops.where(counts, mean, ops.stop_gradient(mean))
        scale = ops.rsqrt(variance + self.epsilon)
        scale_of = ops.where(counts, scale, ops.stop_gradient(scale)) * ops.cast(self.gamma, "float32")
        normalised = (x - mean_of) * scale_of + ops.cast(self.beta, "float32")
        values = count * ops.cast(ops.prod(ops.shape(x)[1:3]), "float32")
        return ops.cast(normalised, inputs.dtype), mean, variance * values / (values - 1.0)
