"""Batch norms that take their statistics from the images with a mask."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from uml_tf.networks.counted_images import counted_images, statistics_of
from uml_tf.networks.normalization import BatchNormalization
from uml_tf.networks.presets import preset
from uml_tf.networks.uml import UML


@pytest.fixture
def norm():
    layer = BatchNormalization(of_mask=True, momentum=0.9)
    layer.build((None, 5, 4, 3))
    rng = np.random.default_rng(0)
    layer.gamma.assign(rng.uniform(0.5, 2, 3))
    layer.beta.assign(rng.normal(size=3))
    return layer


@pytest.fixture
def features():
    rng = np.random.default_rng(1)
    return tf.constant(rng.normal(size=(6, 5, 4, 3)) + np.arange(6)[:, None, None, None], tf.float32)


COUNTED = tf.constant([1.0, 0, 1, 0, 0, 1])


def test_statistics_are_those_of_the_counted_images(norm, features):
    rows = np.flatnonzero(COUNTED.numpy())
    expected = norm(tf.gather(features, rows), training=True).numpy()
    moved = [variable.numpy().copy() for variable in (norm.moving_mean, norm.moving_variance)]
    norm.moving_mean.assign(np.zeros(3))
    norm.moving_variance.assign(np.ones(3))
    with statistics_of(COUNTED):
        found = norm(features, training=True).numpy()
    assert counted_images() is None
    assert found[rows] == pytest.approx(expected, abs=1e-5)
    for variable, value in zip((norm.moving_mean, norm.moving_variance), moved, strict=True):
        assert variable.numpy() == pytest.approx(value, rel=1e-5)
    # Image 1 is image 0 of another camera: what is normalised alike keeps its distance.
    shifted = features.numpy()
    shifted[1] = shifted[0] + 7
    with statistics_of(COUNTED):
        found = norm(tf.constant(shifted), training=True).numpy()
    variance = tf.gather(features, rows).numpy().var(axis=(0, 1, 2))
    assert found[1] - found[0] == pytest.approx(
        np.broadcast_to(7 * norm.gamma.numpy() / np.sqrt(variance + norm.epsilon), (5, 4, 3)), rel=1e-4
    )


def test_other_images_do_not_change_the_statistics_by_their_gradients(norm, features):
    weights = tf.constant(np.random.default_rng(2).normal(size=features.shape), tf.float32)
    with tf.GradientTape() as tape, statistics_of(COUNTED):
        tape.watch(features)
        of_others = tf.reduce_sum((weights * norm(features, training=True))[1])
    gradient = tape.gradient(of_others, features).numpy()
    assert np.abs(gradient[1]).min() > 0
    assert not gradient[[0, 2, 3, 4, 5]].any()


def test_where_no_image_counts_all_do(norm, features):
    expected = norm(features, training=True).numpy()
    with statistics_of(tf.zeros(6)):
        found = norm(features, training=True).numpy()
    assert found == pytest.approx(expected, abs=1e-5)


def test_norms_of_encoders_and_of_the_class_count_all_images(features):
    norm = BatchNormalization(momentum=0.9)
    norm.build(features.shape)
    expected = norm(features, training=True).numpy()
    with statistics_of(COUNTED):
        assert np.array_equal(norm(features, training=True), expected)


@pytest.mark.parametrize("name", ["edge", "unet"])
def test_the_norms_of_the_mask_are_those_of_its_decoders(name):
    network = UML(preset(name), image_classes=2, pixel_classes=3, image_size=(64, 64))
    layers = [one for one in network.training_model._flatten_layers() if isinstance(one, BatchNormalization)]
    of_mask = {one.path for one in layers if one.of_mask}
    others = {one.path for one in layers if not one.of_mask}
    assert of_mask
    assert {path.split("_")[0] for path in of_mask} <= {"mixer", "mutual", "navigator", "decoder"}
    assert not [path for path in others if path.startswith(("mixer", "mutual", "navigator", "decoder"))]
    assert of_mask.isdisjoint(others)
