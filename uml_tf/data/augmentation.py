"""Random variation of training images together with their masks.

The layers are those of Keras itself, not of keras-cv: they move masks without changing a label, are as fast
or faster, and keras-cv is no longer developed.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from uml_tf.data.augmentation_spec import AugmentationSpec
from uml_tf.data.destruction import Destruction
from uml_tf.data.share import WHOLE, Share
from uml_tf.data.style import StyleVariation


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

    Its random state is set at the start of each epoch (``start_epoch``), so that a repeated run, and a
    resumed one, sees the same images.

    Args:
        spec: how strongly the images are varied.
        seed: seed of the run, at least 0.
        share: the part of every batch that is transformed here.
    """

    def __init__(self, spec: AugmentationSpec, seed: int, share: Share = WHOLE) -> None:
        self.spec = spec
        self.seed = seed
        self.share = share
        self._geometric = _geometric(spec)
        self._photometric = _photometric(spec)
        self._noise_seed = tf.Variable([0, 0], dtype=tf.int64, trainable=False)
        self._style = StyleVariation(spec.style, seed, share)
        self._destruction = Destruction(spec.destroyed, seed, share) if spec.destroyed else None
        self.start_epoch(0)

    def start_epoch(self, epoch: int) -> None:
        """Sets every layer's random state to that of the epoch, counted from 0."""
        rng = np.random.default_rng([self.seed, epoch, 1])
        for layer in (*self._geometric, *self._photometric):
            layer.generator.state.assign(rng.integers(0, 2**31 - 1, 2))
        self._noise_seed.assign(rng.integers(0, 2**31 - 1, 2))
        self._style.start_epoch(epoch)
        if self._destruction is not None:
            self._destruction.start_epoch(epoch)

    def _add_noise(self, images: tf.Tensor) -> tf.Tensor:
        seed = self._noise_seed.assign_add([0, 1])
        shape = (images.shape[0] * self.share.workers, *images.shape[1:])
        deviation = tf.random.stateless_uniform([shape[0], 1, 1, 1], seed, maxval=255 * self.spec.noise)
        noise = self.share.rows(tf.random.stateless_normal(shape, seed + 1) * deviation, images.shape[0])
        return tf.clip_by_value(images + noise, 0.0, 255.0)

    def _draw(self, layer: Any, images: tf.Tensor) -> Any:
        """A layer's random transformation of these images.

        It is drawn for the whole batch, so that an image's transformation does not depend on the number of
        workers.
        """
        count = images.shape[0]
        whole = tf.zeros((count * self.share.workers, *images.shape[1:]))  # only its shape is read
        drawn = layer.get_random_transformation(whole, training=True)
        return {
            name: self.share.rows(value, count)
            if isinstance(value, tf.Tensor) and value.shape.rank
            else value
            for name, value in drawn.items()
        }

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Transforms ``image`` ``(B, H, W, 3)`` and ``mask`` ``(B, H, W)``; B is this share's static size.

        Adds ``plain``, the image without the variation of style, and ``destroyed`` where the spec destroys
        images; see ``uml_tf.data.destruction.Destruction``.
        """
        images = tf.cast(batch["image"], tf.float32)
        masks = tf.cast(batch["mask"][..., None], tf.float32)
        for layer in self._geometric:
            drawn = self._draw(layer, images)
            images = layer.transform_images(images, drawn)
            masks = layer.transform_segmentation_masks(masks, drawn)
        for layer in self._photometric:
            images = layer.transform_images(images, self._draw(layer, images))
        if self.spec.noise:
            images = self._add_noise(images)
        mask = tf.cast(tf.round(masks[..., 0]), tf.uint8)
        plain = tf.clip_by_value(images, 0.0, 255.0)
        varied = {**batch, "image": self._style(plain), "plain": plain, "mask": mask}
        return varied if self._destruction is None else self._destruction(varied)
