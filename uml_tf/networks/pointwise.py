"""1x1 convolutions as matrix products, where they are trained."""

from __future__ import annotations

from typing import Any

import keras


def pixel_product(inputs: Any, kernel: Any, bias: Any | None) -> Any:
    """The 1x1 convolution of ``(B, H, W, D)`` by ``(1, 1, D, F)`` as a product over the pixels."""
    import tensorflow as tf

    depth, filters = kernel.shape[2:]
    outputs = tf.matmul(tf.reshape(inputs, (-1, depth)), tf.reshape(kernel, (depth, filters)))
    if bias is not None:
        outputs = tf.nn.bias_add(outputs, bias)
    return tf.reshape(outputs, tf.concat([tf.shape(inputs)[:-1], [filters]], axis=0))


@keras.saving.register_keras_serializable(package="uml_tf")
class Conv2D(keras.layers.Conv2D):
    """Keras' convolution of ``(B, H, W, D)``; in training a 1x1 one is a matrix product over the pixels.

    On CPU a convolution's weight gradient costs several times the convolution where channels are few, that of
    the product costs as much as the product. Inference, every other form of convolution, other precisions and
    other backends use Keras' own code, so that exported graphs hold convolutions. The class keeps Keras'
    name, because weight files name a layer by its class.

    Args:
        *args, **kwargs: as ``keras.layers.Conv2D``.
    """

    def _by_product(self) -> bool:
        return (
            keras.backend.backend() == "tensorflow"
            and tuple(self.kernel_size) == tuple(self.strides) == (1, 1)
            and self.groups == 1
            and self.data_format == "channels_last"
            and self.compute_dtype == "float32"
        )

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        if not (training and self._by_product()):
            return super().call(inputs)
        outputs = pixel_product(inputs, self.kernel, self.bias if self.use_bias else None)
        return self.activation(outputs) if self.activation is not None else outputs
