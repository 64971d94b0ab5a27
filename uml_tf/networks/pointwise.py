"""1x1 convolutions whose weight gradient is one matrix product."""

from __future__ import annotations

from typing import Any

import keras


def _convolved(inputs: Any, kernel: Any) -> Any:
    """The 1x1 convolution of ``(B, H, W, D)`` by ``(1, 1, D, F)``, with its own gradient."""
    import tensorflow as tf

    @tf.custom_gradient
    def convolution(inputs: Any, kernel: Any) -> Any:
        def gradient(upstream: Any) -> tuple[Any, Any]:
            by_inputs = tf.raw_ops.Conv2DBackpropInput(
                input_sizes=tf.shape(inputs),
                filter=kernel,
                out_backprop=upstream,
                strides=[1, 1, 1, 1],
                padding="VALID",
            )
            pixels = tf.reshape(inputs, (-1, kernel.shape[2]))
            by_kernel = tf.matmul(pixels, tf.reshape(upstream, (-1, kernel.shape[3])), transpose_a=True)
            return by_inputs, tf.reshape(by_kernel, kernel.shape)

        return tf.nn.conv2d(inputs, kernel, strides=1, padding="VALID"), gradient

    return convolution(inputs, kernel)


@keras.saving.register_keras_serializable(package="uml_tf")
class Conv2D(keras.layers.Conv2D):
    """Keras' convolution of ``(B, H, W, D)``; in training a 1x1 one takes its weight gradient by a product.

    On CPU the convolution's own weight gradient costs several times the convolution where channels are few,
    the product of ``(B * H * W, D)`` and ``(B * H * W, F)`` costs as much as the convolution. Inference, every
    other form of convolution, other precisions and other backends use Keras' own code, so that exported
    graphs hold convolutions. The class keeps Keras' name, because weight files name a layer by its class.

    Args:
        *args, **kwargs: as ``keras.layers.Conv2D``.
    """

    def _by_product(self) -> bool:
        one = (1, 1)
        return (
            keras.backend.backend() == "tensorflow"
            and tuple(self.kernel_size) == one
            and tuple(self.strides) == one
            and self.groups == 1
            and self.data_format == "channels_last"
            and self.compute_dtype == "float32"
        )

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        if not (training and self._by_product()):
            return super().call(inputs)
        outputs = _convolved(inputs, keras.ops.convert_to_tensor(self.kernel))
        if self.use_bias:
            outputs = keras.ops.add(outputs, self.bias)
        return self.activation(outputs) if self.activation is not None else outputs
