"""Random variation of what tells one camera from another: colour, shading, tone curve, sharpness, noise.

Drawn for the images alone: their masks hold as they are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from uml_tf.data.augmentation_spec import StyleSpec
from uml_tf.data.share import WHOLE, Share

_WIDEST_BLUR = 3
"""Standard deviations to each side that the blur's kernel covers, at its largest width."""

_SMALLEST_DEVIATION = 4.0
"""Grey levels. An image that is darker than this in one channel keeps its contrast there."""

_LOW_FREQUENCIES = 0.05
"""Cycles per pixel in each direction up to which a frequency is a low one: the beta of Yang and Soatto."""

_SMALLEST_AMPLITUDE = 1e-3
"""Grey levels. A frequency with less has no phase but that of rounding errors, and stays as it is."""


def exchanged(images: tf.Tensor, others: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    """Images with part of other images' mean and standard deviation in every colour channel.

    Args:
        images: ``(B, H, W, 3)`` in [0, 255].
        others: the same, the images whose statistics are taken over.
        share: ``(B, 1, 1, 1)`` in [0, 1]; 0 leaves an image as it is, 1 gives it the other's statistics.

    Returns:
        ``(B, H, W, 3)``, not clipped.

    Source: Reinhard et al., "Color transfer between images", 2001, in RGB; as an exchange of feature
        statistics MixStyle, Zhou et al., ICLR 2021.
    """
    mean, variance = tf.nn.moments(images, axes=(1, 2), keepdims=True)
    other_mean, other_variance = tf.nn.moments(others, axes=(1, 2), keepdims=True)
    deviation = tf.sqrt(variance)
    target = deviation + share * (tf.sqrt(other_variance) - deviation)
    scale = tf.where(deviation > _SMALLEST_DEVIATION, target / tf.maximum(deviation, 1e-3), 1.0)
    return (images - mean) * scale + mean + share * (other_mean - mean)


def with_amplitude(images: tf.Tensor, others: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    """Images with part of other images' amplitude at low frequencies; their own phase stays.

    Args:
        images: ``(B, H, W, 3)`` in [0, 255], of any H and W.
        others: the same, the images whose amplitudes are taken over.
        share: ``(B, 1, 1, 1)`` in [0, 1]; 0 leaves an image as it is, 1 gives it the other's amplitudes.

    Returns:
        ``(B, H, W, 3)``, not clipped.

    Source: Yang and Soatto, "FDA: Fourier Domain Adaptation for Semantic Segmentation", CVPR 2020, with one
        of their betas, 0.05; a share of 1 is their exchange, smaller ones mix the two amplitudes.
    """
    height, width = images.shape[1], images.shape[2]
    spectrum, other = (tf.signal.rfft2d(tf.transpose(x, [0, 3, 1, 2])) for x in (images, others))
    amplitude = tf.abs(spectrum)
    target = amplitude + share * (tf.abs(other) - amplitude)
    smallest = _SMALLEST_AMPLITUDE * height * width
    scale = tf.where(amplitude > smallest, target / tf.maximum(amplitude, smallest), 1.0)
    rows, columns = np.abs(np.fft.fftfreq(height)), np.fft.rfftfreq(width)
    low = (rows[:, None] <= _LOW_FREQUENCIES) & (columns <= _LOW_FREQUENCIES)
    # The change alone is transformed back: what takes over nothing stays as it is to the last bit.
    change = spectrum * tf.cast(tf.where(low, scale - 1.0, 0.0), spectrum.dtype)
    return images + tf.transpose(tf.signal.irfft2d(change, [height, width]), [0, 2, 3, 1])


def with_gamma(images: tf.Tensor, exponent: tf.Tensor) -> tf.Tensor:
    """Images ``(B, H, W, 3)`` in [0, 255] through tone curves with exponents ``(B, 1, 1, 3)``."""
    return 255.0 * tf.pow(tf.clip_by_value(images / 255.0, 1e-4, 1.0), exponent)


def blurred(images: tf.Tensor, widths: tf.Tensor, widest: float) -> tf.Tensor:
    """Images ``(B, H, W, 3)``, each with a Gaussian blur of its own width.

    Args:
        images: any range.
        widths: ``(B,)`` standard deviations in pixels; 0 leaves an image as it is.
        widest: their upper limit, which decides the kernel's size.
    """
    reach = max(1, round(_WIDEST_BLUR * widest))
    places = tf.range(-reach, reach + 1, dtype=tf.float32)
    kernel = tf.exp(-0.5 * (places[None] / tf.maximum(widths, 1e-3)[:, None]) ** 2)
    kernel = kernel / tf.reduce_sum(kernel, axis=1, keepdims=True)
    padded = tf.pad(images, [[0, 0], [reach, reach], [reach, reach], [0, 0]], "SYMMETRIC")
    height, width = images.shape[1], images.shape[2]
    across = tf.add_n(
        [kernel[:, i, None, None, None] * padded[:, :, i : i + width] for i in range(2 * reach + 1)]
    )
    return tf.add_n(
        [kernel[:, i, None, None, None] * across[:, i : i + height] for i in range(2 * reach + 1)]
    )


class StyleVariation:
    """A batch transformation of images; its random state is set at the start of each epoch.

    What an image is varied by does not depend on the number of workers, but for the exchange of colour
    statistics and of amplitudes: it takes place among the images of one worker.

    Args:
        spec: how strongly the images are varied.
        seed: seed of the run, at least 0.
        share: the part of every batch that is varied here.
    """

    def __init__(self, spec: StyleSpec, seed: int, share: Share = WHOLE) -> None:
        self.spec = spec
        self.seed = seed
        self.share = share
        self._state = tf.Variable([0, 0], dtype=tf.int64, trainable=False)
        self.start_epoch(0)

    def start_epoch(self, epoch: int) -> None:
        """Sets the random state to that of the epoch, counted from 0."""
        rng = np.random.default_rng([self.seed, epoch, 2])
        self._state.assign(rng.integers(0, 2**31 - 1, 2))

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """Varies ``(B, H, W, 3)`` float32 in [0, 255] with B static; returns the same shape and range."""
        spec, count = self.spec, images.shape[0]
        state = self._state.assign_add([0, 8])

        def uniform(offset: int, shape: list[int], low: float, high: float) -> Any:
            whole = [count * self.share.workers, *shape]
            return self.share.rows(tf.random.stateless_uniform(whole, state + offset, low, high), count)

        def others(offset: int) -> Any:
            order = tf.random.experimental.stateless_shuffle(tf.range(count), state + offset)
            return tf.gather(images, order)

        def shares(offset: int, chosen: float) -> Any:
            share = uniform(offset, [1, 1, 1], 0.0, 1.0)
            return tf.where(uniform(offset + 1, [1, 1, 1], 0.0, 1.0) < chosen, share, 0.0)

        if spec.exchange:
            images = exchanged(images, others(0), shares(1, spec.exchange))
        if spec.fourier:
            images = with_amplitude(images, others(8), shares(9, spec.fourier))
        if spec.gamma:
            of_image = uniform(3, [1, 1, 1], -spec.gamma, spec.gamma)
            of_channel = uniform(4, [1, 1, 3], -spec.gamma, spec.gamma) * spec.colour
            images = with_gamma(images, tf.exp(of_image + of_channel))
        if spec.blur:
            widest = spec.blur * images.shape[1]
            widths = uniform(5, [], 0.0, 2 * widest)
            images = blurred(images, tf.maximum(widths - widest, 0.0), widest)
        if spec.noise:
            deviation = uniform(6, [1, 1, 1], 0.0, 255.0 * spec.noise)
            shape = (count * self.share.workers, *images.shape[1:])
            noise = self.share.rows(tf.random.stateless_normal(shape, state + 7), count)
            images = images + deviation * noise
        return tf.clip_by_value(images, 0.0, 255.0)
