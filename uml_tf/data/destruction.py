"""Destroyed images: training images in which nothing is left to be told; evidence in them misleads."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from uml_tf.data.share import WHOLE, Share
from uml_tf.runtime.regions import UNKNOWN_PIXEL

_TILES = (2, 8)
"""Fewest and most tiles along a side."""

_NOISE = (30.0, 120.0)
"""Smallest and largest standard deviation, grey levels."""


def _sources(counts: tf.Tensor, scores: tf.Tensor) -> tf.Tensor:
    """For each tile the one that comes to its place, ``(B, T)``: one cycle, so that no tile keeps its place.

    Args:
        counts: ``(B,)`` number of tiles, at most T; of the tiles beyond, nothing is meant.
        scores: ``(B, T)`` random numbers in [0, 1).
    """
    beyond = tf.range(scores.shape[1])[None] >= counts[:, None]
    order = tf.argsort(tf.where(beyond, 2.0, scores), axis=1)
    following = (tf.argsort(order, axis=1) + 1) % counts[:, None]
    return tf.gather(order, following, batch_dims=1)


def shuffled(images: tf.Tensor, sides: tf.Tensor, scores: tf.Tensor) -> tf.Tensor:
    """Images whose tiles have changed places; a remainder of pixels at the right and at the bottom stays.

    Args:
        images: ``(B, H, W, 3)``, B, H and W static.
        sides: ``(B,)`` int32, number of tiles along each side.
        scores: ``(B, T)`` random numbers in [0, 1) that decide the order; T is at least the largest side
            squared.
    """
    height, width = images.shape[1], images.shape[2]
    side = sides[:, None, None]
    rows, columns = tf.range(height)[None, :, None], tf.range(width)[None, None, :]
    tile_height, tile_width = height // side, width // side
    row, column = rows // tile_height, columns // tile_width
    inside = (row < side) & (column < side)
    source = tf.gather(_sources(sides**2, scores), tf.where(inside, row * side + column, 0), batch_dims=1)
    from_row = tf.where(inside, source // side * tile_height + rows % tile_height, rows)
    from_column = tf.where(inside, source % side * tile_width + columns % tile_width, columns)
    places = tf.reshape(from_row * width + from_column, (-1, height * width))
    pixels = tf.reshape(images, (-1, height * width, images.shape[3]))
    return tf.reshape(tf.gather(pixels, places, batch_dims=1), images.shape)


class Destruction:
    """Replaces some images of a batch by destroyed ones: shuffled tiles, or heavy noise, by even chance.

    The random state is set at the start of each epoch; what is destroyed does not depend on the number of
    workers.

    Args:
        part: of the images of every whole batch, rounded to whole images: at least one, never all.
        seed: seed of the run, at least 0.
        share: the part of every batch that is seen here.
    """

    def __init__(self, part: float, seed: int, share: Share = WHOLE) -> None:
        self.part = part
        self.seed = seed
        self.share = share
        self._state = tf.Variable([0, 0], dtype=tf.int64, trainable=False)
        self.start_epoch(0)

    def start_epoch(self, epoch: int) -> None:
        """Sets the random state to that of the epoch, counted from 0."""
        rng = np.random.default_rng([self.seed, epoch, 3])
        self._state.assign(rng.integers(0, 2**31 - 1, 2))

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Destroys images of a batch and takes their truth away.

        Args:
            batch: ``image`` (B, H, W, 3) float32 in [0, 255], ``mask`` (B, H, W), and ``label``, ``has_mask``
                and ``ratio`` (B,); B is this share's static size.

        Returns:
            The batch with ``destroyed`` (B,), 1 for the destroyed. These have the label -1, no mask, only
            pixels that are not known, and no ratio.
        """
        images = batch["image"]
        count = images.shape[0]
        whole = count * self.share.workers
        state = self._state.assign_add([0, 8])

        def drawn(values: Any) -> Any:
            return self.share.rows(values, count)

        chosen = min(max(round(self.part * whole), 1), whole - 1)
        rank = tf.argsort(tf.argsort(tf.random.stateless_uniform([whole], state)))
        gone = drawn(rank < chosen)
        low, high = _TILES
        sides = drawn(tf.random.stateless_uniform([whole], state + 1, low, high + 1, tf.int32))
        tiles = shuffled(images, sides, drawn(tf.random.stateless_uniform([whole, high**2], state + 2)))
        deviation = drawn(tf.random.stateless_uniform([whole, 1, 1, 1], state + 3, *_NOISE))
        noise = drawn(tf.random.stateless_normal([whole, *images.shape[1:]], state + 4)) * deviation
        noisy = tf.clip_by_value(images + noise, 0.0, 255.0)
        cut = drawn(tf.random.stateless_uniform([whole, 1, 1, 1], state + 5)) < 0.5
        mask = batch["mask"]
        return {
            **batch,
            "image": tf.where(gone[:, None, None, None], tf.where(cut, tiles, noisy), images),
            "label": tf.where(gone, -1, batch["label"]),
            "mask": tf.where(gone[:, None, None], tf.cast(UNKNOWN_PIXEL, mask.dtype), mask),
            "has_mask": tf.where(gone, 0.0, batch["has_mask"]),
            "ratio": tf.where(gone, float("nan"), batch["ratio"]),
            "destroyed": tf.cast(gone, tf.float32),
        }
