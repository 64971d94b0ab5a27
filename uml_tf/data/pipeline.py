"""From a prepared data set to batches: decode and resize once, order, augment."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from uml_tf.data.augmentation import Augmentation
from uml_tf.data.dataset import PreparedDataset, Row
from uml_tf.data.reading import read_row
from uml_tf.data.share import WHOLE, Share
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.images import Array
from uml_tf.runtime.placement import PADDING, Box, Fit, Placement, place
from uml_tf.runtime.threads import cores

BATCH_KEYS = ("image", "label", "mask", "has_mask", "ratio")


class PixelArray(Protocol):
    """An array of N items that need not be in memory."""

    @property
    def shape(self) -> tuple[int, ...]:
        """``(N, ...)``."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: Any, /) -> Array:
        """The items of an integer, a slice, or an array of indices or booleans."""


@dataclass(frozen=True)
class Examples:
    """One split, decoded and resized; N images.

    Attributes:
        images: ``(N, H, W, 3)`` uint8 RGB.
        labels: ``(N,)`` int32, -1 without a label.
        masks: ``(N, H, W)`` uint8 class indices, ``UNKNOWN_PIXEL`` where the class is not known and where
            the input is padded, ``ANY_REGION_PIXEL`` where only the background is ruled out; 0 where there is
            no mask.
        has_mask: ``(N,)`` float32, 1 or 0.
        rows: the manifest's lines.
        placements: where each picture lies in its input; empty where every input shows its picture alone.
        located: whether a locator found its region in each picture; empty where none looked for one.
        failures: what went wrong as batches were read; TensorFlow's own error is of many lines.
    """

    images: PixelArray
    labels: Array
    masks: PixelArray
    has_mask: Array
    rows: tuple[Row, ...]
    placements: Sequence[Placement] = ()
    located: Sequence[bool] = ()
    failures: list[UmlError] = field(default_factory=list, compare=False)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def found(self) -> Array:
        """``(N,)`` bool: False where a locator looked for its region and found nothing."""
        return np.array(self.located, bool) if self.located else np.ones(len(self), bool)

    def shown(self, index: int, maps: Array) -> Array:
        """The part of an image's ``(H, W, ...)`` that is not padded."""
        return self.placements[index].shown(maps) if self.placements else maps

    def share_of_picture(self, index: int, chosen: NDArray[np.bool_]) -> float:
        """Share of an image's whole picture that is chosen of its ``(H, W)`` input, in [0, 1]."""
        return self.placements[index].share_of_picture(chosen) if self.placements else float(chosen.mean())

    def shown_images(self) -> Iterator[Array]:
        """Yields every image without its padding."""
        return (self.shown(index, self.images[index]) for index in range(len(self)))


def decode_row(
    dataset: PreparedDataset, row: Row, fit: Fit, size: tuple[int, int], box: Box | None
) -> tuple[Array, Array, Placement]:
    """The part of the image that the network reads, in its own size; the mask in the input's; and where."""
    image, mask = read_row(dataset, row)
    placement = place(fit, (image.shape[0], image.shape[1]), size, box)
    if mask is None:
        mask = np.zeros(image.shape[:2], np.uint8)
    return np.ascontiguousarray(image[placement.crop.slices]), placement.mask(mask), placement


def resized(image: tf.Tensor, target: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """``(H, W, 3)`` uint8 of an image that is resized into a box of the input, and padded around it."""
    top, left, height, width = tf.unstack(target)
    shown = tf.image.resize(tf.ensure_shape(image, (None, None, 3)), (height, width), antialias=True)
    below, right = size[0] - top - height, size[1] - left - width
    around = [[top, below], [left, right], [0, 0]]
    return tf.pad(tf.cast(tf.round(shown), tf.uint8), around, constant_values=PADDING)


def _mapped(stream: tf.data.Dataset, function: Callable[..., Any], **options: Any) -> tf.data.Dataset:
    """Mapped without AutoGraph, which takes seconds to start with and finds no branch on a tensor here."""
    return stream.map(tf.autograph.experimental.do_not_convert(function), **options)


def load_examples(
    dataset: PreparedDataset,
    split: str,
    size: tuple[int, int],
    progress: Callable[[int], None] = lambda done: None,
    fit: Fit = "stretch",
    boxes: Mapping[str, Box] | None = None,
) -> Examples:
    """Reads one split with tf.data: decode, resize (image bilinear with antialias, mask nearest).

    Args:
        dataset: the data set.
        split: "train", "val" or "test".
        size: (H, W).
        progress: called with the number of images read.
        fit: how a picture, or the part of it that is read, becomes an input.
        boxes: image -> the part of it that a locator found; all of it is read of images that are not named,
            and None means that no locator looked.

    Raises:
        UmlError: a file is missing, damaged or does not fit, naming it.
    """
    rows = dataset.split(split)
    labels = np.array([dataset.label_index(row) for row in rows], np.int32)
    failures: list[UmlError] = []
    placements: dict[int, Placement] = {}

    def decode(index: Array) -> tuple[Array, Array, Array]:
        try:
            row = rows[int(index)]
            image, mask, placement = decode_row(dataset, row, fit, size, (boxes or {}).get(row.image))
        except UmlError as error:
            failures.append(error)
            raise
        placements[int(index)] = placement
        return image, mask, np.array(placement.target, np.int32)

    def read(index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        image, mask, target = tf.numpy_function(decode, [index], [tf.uint8, tf.uint8, tf.int32])
        return resized(image, tf.ensure_shape(target, (4,)), size), tf.ensure_shape(mask, size)

    stream = _mapped(tf.data.Dataset.range(len(rows)), read, num_parallel_calls=cores())
    images = np.empty((len(rows), *size, 3), np.uint8)
    masks = np.empty((len(rows), *size), np.uint8)
    try:
        for index, (image, mask) in enumerate(stream.prefetch(8)):
            images[index], masks[index] = image, mask
            progress(index + 1)
    except tf.errors.OpError:
        if failures:
            raise failures[0] from None
        raise
    has_mask = np.array([bool(row.mask) for row in rows], np.float32)
    places = tuple(placements[index] for index in range(len(rows)))
    return Examples(images, labels, masks, has_mask, rows, places, located(rows, boxes))


def located(rows: Sequence[Row], boxes: Mapping[str, Box] | None) -> tuple[bool, ...]:
    """``Examples.located`` of some rows.

    Args:
        rows: the manifest's lines.
        boxes: see ``load_examples``.
    """
    return () if boxes is None else tuple(row.image in boxes for row in rows)


def epoch_order(
    examples: Examples, batch_size: int, seed: int, epoch: int, masked_share: float | None
) -> Array:
    """Indices of the training images in one epoch; they depend on seed and epoch alone.

    Args:
        examples: the training split.
        batch_size: global batch size; the number of indices is a multiple of it. With a share 2 or more.
        seed: seed of the run, at least 0.
        epoch: epoch number from 0.
        masked_share: share of the images in every batch that have a mask, in (0, 1); images with a mask are
            repeated as needed. None takes every image once. It matters only where some images have no mask.
    """
    rng = np.random.default_rng([seed, epoch])
    everything = rng.permutation(len(examples))
    masked = everything[examples.has_mask[everything] > 0]
    unmasked = everything[examples.has_mask[everything] == 0]
    if masked_share is None or not len(masked) or not len(unmasked):
        whole = max(len(everything) // batch_size, 1) * batch_size
        return np.resize(everything, whole)
    per_batch = min(max(round(batch_size * masked_share), 1), batch_size - 1)
    steps = max(len(unmasked) // (batch_size - per_batch), 1)
    passes = -(-steps * per_batch // len(masked))
    repeated = np.concatenate([rng.permutation(masked) for _ in range(passes)])
    order = np.concatenate(
        [
            np.resize(repeated, (steps, per_batch)),
            np.resize(unmasked, (steps, batch_size - per_batch)),
        ],
        axis=1,
    )
    return rng.permuted(order, axis=1).ravel()


def batches(examples: Examples, order: Sequence[int] | Array, batch_size: int) -> tf.data.Dataset:
    """Whole batches of the examples in the given order, with the keys of ``BATCH_KEYS``; images uint8."""

    def gather(index: Array) -> tuple[Array, ...]:
        try:
            images, masks = examples.images[index], examples.masks[index]
        except UmlError as error:
            examples.failures.append(error)
            raise
        return images, examples.labels[index], masks, examples.has_mask[index], ratios[index]

    known = [row.ratio for row in examples.rows] or [np.nan] * len(examples.labels)
    ratios = np.array(known, np.float32)
    types = (tf.uint8, tf.int32, tf.uint8, tf.float32, tf.float32)
    side = examples.images.shape[1:]

    def batch(index: tf.Tensor) -> dict[str, tf.Tensor]:
        values = tf.numpy_function(gather, [index], types, stateful=False)
        shapes = ((batch_size, *side), (batch_size,), (batch_size, *side[:2]), (batch_size,), (batch_size,))
        shaped = [tf.ensure_shape(value, shape) for value, shape in zip(values, shapes, strict=True)]
        return dict(zip(BATCH_KEYS, shaped, strict=True))

    stream = tf.data.Dataset.from_tensor_slices(np.asarray(order))
    return _mapped(stream.batch(batch_size, drop_remainder=True), batch)


def training_batches(
    examples: Examples,
    order: Array,
    batch_size: int,
    augmentation: Augmentation | None,
    share: Share = WHOLE,
) -> tf.data.Dataset:
    """Augmented, prefetched training batches of one epoch; images float32 in [0, 255].

    Args:
        examples: the training split.
        order: indices of the epoch's images; their number is a multiple of ``batch_size``.
        batch_size: of all workers together.
        augmentation: with the same share, or None.
        share: the part of every batch that is returned.
    """
    stream = batches(examples, share.of(order, batch_size), batch_size // share.workers)
    if augmentation is not None:
        # In order and one at a time: the random state advances the same way in every run.
        stream = _mapped(stream, augmentation, num_parallel_calls=1, deterministic=True)
    return _mapped(stream, _as_float).prefetch(tf.data.AUTOTUNE)


def _as_float(batch: dict[str, Any]) -> dict[str, Any]:
    return {**batch, "image": tf.cast(batch["image"], tf.float32)}
