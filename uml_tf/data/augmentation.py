"""Augmentation of image and mask alike.

Keras' own preprocessing layers rather than keras-cv's: on this stack they move masks label-exactly and
are as fast or faster, and keras-cv is no longer developed.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from uml_tf.data.augmentation_spec import AugmentationSpec


def _geometric(spec: AugmentationSpec) -> list[keras.layers.Layer]:
    fill: dict[str, Any] = {"fill_mode": "constant", "fill_value": 0.0}
    layers: list[keras.layers.Layer] = []
    if spec.flip != "none":
        layers.append(keras.layers.RandomFlip(spec.flip))
    if spec.rotation:
        layers.append(keras.layers.RandomRotation(spec.rotation / 360, **fill))
    if spec.zoom:
        layers.append(keras.layers.RandomZoom(spec.zoom, None, **fill))
    if spec.stretch:
        layers.append(keras.layers.RandomZoom(spec.stretch, spec.stretch, **fill))
    if spec.translation:
        layers.append(keras.layers.RandomTranslation(spec.translation, spec.translation, **fill))
    return layers


def _photometric(spec: AugmentationSpec) -> list[keras.layers.Layer]:
    layers: list[keras.layers.Layer] = []
    if spec.brightness:
        layers.append(keras.layers.RandomBrightness(spec.brightness, value_range=(0, 255)))
    if spec.contrast:
        layers.append(keras.layers.RandomContrast(spec.contrast, value_range=(0, 255)))
    if spec.saturation:
        factor = (0.5 - spec.saturation / 2, 0.5 + spec.saturation / 2)
        layers.append(keras.layers.RandomSaturation(factor, value_range=(0, 255)))
    return layers


class Augmentation:
    """A batch transformation that moves masks with their images.

    Its random state is set per epoch (``start_epoch``), so that a run is repeated, or resumed in its
    middle, with the same images.

    Args:
        spec: how strongly.
        seed: seed of the run.
    """

    def __init__(self, spec: AugmentationSpec, seed: int) -> None:
        self.spec = spec
        self.seed = seed
        self._geometric = _geometric(spec)
        self._photometric = _photometric(spec)
        self._noise_seed = tf.Variable([seed, 0], dtype=tf.int64, trainable=False)
        self.start_epoch(0)

    def start_epoch(self, epoch: int) -> None:
        """Sets every layer's random state to that of the epoch (from 0)."""
        rng = np.random.default_rng([self.seed, epoch, 1])
        for layer in (*self._geometric, *self._photometric):
            layer.generator.state.assign(rng.integers(0, 2**31 - 1, 2))
        self._noise_seed.assign(rng.integers(0, 2**31 - 1, 2))

    def _add_noise(self, images: tf.Tensor) -> tf.Tensor:
        seed = self._noise_seed.assign_add([0, 1])
        shape = tf.shape(images)
        deviation = tf.random.stateless_uniform([shape[0], 1, 1, 1], seed, maxval=255 * self.spec.noise)
        noise = tf.random.stateless_normal(shape, seed + 1) * deviation
        return tf.clip_by_value(images + noise, 0.0, 255.0)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Transforms ``image`` ``(B, H, W, 3)`` and ``mask`` ``(B, H, W)`` of a batch."""
        pair = {
            "images": tf.cast(batch["image"], tf.float32),
            "segmentation_masks": tf.cast(batch["mask"][..., None], tf.float32),
        }
        for layer in self._geometric:
            pair = layer(pair, training=True)
        images = pair["images"]
        for layer in self._photometric:
            images = layer(images, training=True)
        if self.spec.noise:
            images = self._add_noise(images)
        mask = tf.cast(tf.round(pair["segmentation_masks"][..., 0]), tf.uint8)
        return {**batch, "image": tf.clip_by_value(images, 0.0, 255.0), "mask": mask}
