from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from uml_tf.data.augmentation import Augmentation
from uml_tf.data.augmentation_spec import AugmentationSpec
from uml_tf.data.destruction import Destruction, shuffled
from uml_tf.data.share import Share
from uml_tf.runtime.regions import UNKNOWN_PIXEL

B, SIDE = 8, 33


@pytest.fixture(scope="module")
def batch():
    rng = np.random.default_rng(0)
    return {
        "image": tf.constant(rng.uniform(0, 255, (B, SIDE, SIDE, 3)).astype(np.float32)),
        "mask": tf.constant(rng.integers(0, 3, (B, SIDE, SIDE)).astype(np.uint8)),
        "label": tf.constant(rng.integers(0, 2, B).astype(np.int32)),
        "has_mask": tf.ones(B),
        "ratio": tf.fill([B], 0.5),
    }


def _part(batch, index, count):
    return {name: value[index * count : (index + 1) * count] for name, value in batch.items()}


def test_every_tile_comes_to_another_place_and_the_remainder_stays():
    places = np.arange(SIDE * SIDE, dtype=np.float32).reshape(1, SIDE, SIDE, 1)
    images = np.repeat(np.repeat(places, 3, axis=3), 3, axis=0)
    scores = tf.constant(np.random.default_rng(0).random((3, 64)).astype(np.float32))
    result = shuffled(tf.constant(images), tf.constant([2, 4, 8]), scores).numpy()
    for found, side in zip(result, (2, 4, 8), strict=True):
        np.testing.assert_array_equal(np.sort(found, axis=None), np.sort(images[0], axis=None))
        tile = SIDE // side
        inside = slice(0, side * tile)
        assert (found[inside, inside] != images[0][inside, inside]).all()
        np.testing.assert_array_equal(found[side * tile :], images[0][side * tile :])
        # A tile is moved as a whole.
        first = found[:tile, :tile, 0] - found[0, 0, 0]
        np.testing.assert_array_equal(first, places[0, :tile, :tile, 0])


@pytest.mark.parametrize(("part", "expected"), [(0.25, 2), (0.01, 1), (0.5, 4)])
def test_so_many_images_of_every_batch_are_destroyed(batch, part, expected):
    destruction = Destruction(part, 3)
    counts = [int(tf.reduce_sum(destruction(batch)["destroyed"])) for _ in range(5)]
    assert counts == [expected] * 5


def test_a_destroyed_image_has_no_truth_and_the_others_are_as_they_were(batch):
    result = {name: value.numpy() for name, value in Destruction(0.5, 3)(batch).items()}
    gone = result["destroyed"] > 0
    assert (result["label"][gone] == -1).all()
    assert (result["has_mask"][gone] == 0).all()
    assert (result["mask"][gone] == UNKNOWN_PIXEL).all()
    assert np.isnan(result["ratio"][gone]).all()
    for name, value in batch.items():
        np.testing.assert_array_equal(result[name][~gone], value.numpy()[~gone])
    changes = np.abs(result["image"] - batch["image"].numpy()).mean(axis=(1, 2, 3))
    assert (changes[gone] > 10).all()
    assert 0 <= result["image"].min() <= result["image"].max() <= 255


def test_an_epoch_repeats_and_two_workers_destroy_what_one_does(batch):
    destruction = Destruction(0.25, 3)

    def epoch(number):
        destruction.start_epoch(number)
        return [destruction(batch)["image"].numpy() for _ in range(2)]

    first, again, other = epoch(0), epoch(0), epoch(1)
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first[0], first[1])
    assert not np.allclose(first, other)
    halves = [Destruction(0.25, 3, Share(i, 2))(_part(batch, i, B // 2)) for i in range(2)]
    whole = Destruction(0.25, 3)(batch)
    for name in ("image", "destroyed", "mask"):
        np.testing.assert_allclose(np.concatenate([half[name] for half in halves]), whole[name], atol=1e-3)


def test_the_images_that_are_left_vary_as_without_destruction(batch):
    plain = Augmentation(AugmentationSpec(), 4)(batch)
    destroyed = Augmentation(AugmentationSpec(destroyed=0.25), 4)(batch)
    assert "destroyed" not in plain
    left = destroyed["destroyed"].numpy() == 0
    assert left.sum() == 6
    np.testing.assert_array_equal(destroyed["image"][left], plain["image"][left])
    np.testing.assert_array_equal(destroyed["plain"], plain["plain"])
