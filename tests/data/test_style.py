from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from uml_tf.data.augmentation import Augmentation
from uml_tf.data.augmentation_spec import AugmentationSpec, StyleSpec
from uml_tf.data.share import Share
from uml_tf.data.style import StyleVariation, blurred, exchanged, with_amplitude, with_gamma

STRONG = StyleSpec(exchange=0.5, gamma=0.5, blur=0.03, noise=0.05)
WITH_FOURIER = STRONG.model_copy(update={"fourier": 0.5})
BEFORE = [90.753, 138.826, 112.226, 143.344]
"""Green of one pixel of the second batch of ``STRONG`` with seed 3, computed before there was ``fourier``."""


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    centres, spreads = rng.uniform(90, 160, (4, 1, 1, 3)), rng.uniform(5, 25, (4, 1, 1, 3))
    return tf.constant(rng.normal(centres, spreads, (4, 32, 32, 3)).clip(0, 255).astype(np.float32))


def _moments(images):
    return np.mean(images, axis=(1, 2)), np.std(images, axis=(1, 2))


def test_an_exchange_takes_over_the_other_images_statistics(images):
    others = images[::-1]
    share = tf.constant([0.0, 0.5, 1.0, 1.0])[:, None, None, None]
    result = exchanged(images, others, share)
    np.testing.assert_allclose(result[0], images[0], atol=1e-3)
    for found, own, other in zip(_moments(result), _moments(images), _moments(others), strict=True):
        np.testing.assert_allclose(found[1], (own[1] + other[1]) / 2, rtol=1e-3)
        np.testing.assert_allclose(found[2:], other[2:], rtol=1e-3)


def test_a_black_image_gets_no_contrast_from_another(images):
    black = tf.zeros_like(images)
    result = exchanged(black, images, tf.ones((4, 1, 1, 1)))
    np.testing.assert_allclose(_moments(result)[1], 0, atol=0.01)


def _smooth(count, height, width, seed):
    """Images with as much at low frequencies as photographs have."""
    rng = np.random.default_rng(seed)
    coarse = tf.image.resize(rng.normal(size=(count, 5, 4, 3)), (height, width), "bicubic")
    return tf.constant(128 + 25 * coarse.numpy() + rng.normal(0, 5, coarse.shape), tf.float32)


def _spectrum(images):
    return np.fft.fft2(np.asarray(images, np.float64), axes=(1, 2))


@pytest.mark.parametrize(("height", "width"), [(64, 64), (41, 60), (60, 41)])
def test_low_frequencies_take_over_the_others_amplitude_and_keep_their_phase(height, width):
    images, others = _smooth(3, height, width, 0), _smooth(3, height, width, 1)
    share = tf.constant([0.0, 0.5, 1.0])[:, None, None, None]
    result = with_amplitude(images, others, share)
    assert result.shape == images.shape
    np.testing.assert_array_equal(result[0], images[0])
    found, own, other = map(_spectrum, (result, images, others))
    vertical, horizontal = np.abs(np.fft.fftfreq(height)), np.abs(np.fft.fftfreq(width))
    low = (vertical[:, None] <= 0.05) & (horizontal <= 0.05)
    assert 1 < low.sum() < low.size / 50
    rounding = 1e-5 * np.abs(own).max()
    np.testing.assert_allclose(found[:, ~low], own[:, ~low], atol=rounding)
    amplitude = np.abs(own) + share.numpy() * (np.abs(other) - np.abs(own))
    np.testing.assert_allclose(np.abs(found)[:, low], amplitude[:, low], atol=rounding)
    # Angles are not compared themselves: near 180 degrees they jump.
    expected = amplitude * np.exp(1j * np.angle(own))
    np.testing.assert_allclose(found[:, low], expected[:, low], atol=rounding)


def test_an_image_takes_over_nothing_from_itself(images):
    np.testing.assert_array_equal(with_amplitude(images, images, tf.ones((4, 1, 1, 1))), images)


def test_a_black_image_gets_no_low_frequencies_from_another(images):
    np.testing.assert_array_equal(with_amplitude(tf.zeros_like(images), images, tf.ones((4, 1, 1, 1))), 0)


def test_with_fourier_alone_images_take_over_the_brightness_of_their_batch(images):
    style = StyleVariation(StyleSpec(fourier=1.0), 0)
    varied = np.stack([style(images) for _ in range(40)])
    assert 0 <= varied.min() <= varied.max() <= 255
    # Each of the four images is the other equally often, and half of its brightness is taken over on average.
    own, found = np.mean(images, axis=(1, 2)), varied.mean((0, 2, 3))
    ratio = np.abs(found - own.mean(0)).mean() / np.abs(own - own.mean(0)).mean()
    assert 0.35 < ratio < 0.65


def test_a_blur_keeps_the_mean_and_takes_detail(images):
    result = blurred(images, tf.constant([0.0, 0.5, 1.0, 2.0]), 2.0)
    np.testing.assert_allclose(result[0], images[0], atol=1e-3)
    np.testing.assert_allclose(_moments(result)[0], _moments(images)[0], rtol=0.02)
    left = _moments(result)[1].mean(1) / _moments(images)[1].mean(1)
    assert left[0] > 0.99
    assert (np.diff(left) < 0).all()


def test_tone_curves_keep_black_and_white():
    ends = tf.constant([[[[0.0] * 3, [255.0] * 3]]])
    np.testing.assert_allclose(with_gamma(ends, tf.fill((1, 1, 1, 3), 0.7)), ends, atol=0.5)


def test_nothing_changes_where_every_part_is_off(images):
    np.testing.assert_array_equal(StyleVariation(StyleSpec(), 0)(images), images)


def test_without_fourier_images_vary_as_they_did_before_it_existed(images):
    style = StyleVariation(STRONG, 3)
    style(images)
    np.testing.assert_allclose(style(images)[:, 5, 7, 1], BEFORE, atol=0.01)


def test_fourier_does_not_shift_the_draws_of_the_other_parts(images):
    styles = [StyleVariation(STRONG.model_copy(update={"fourier": f}), 3) for f in (0.0, 1e-9)]
    for _ in range(2):
        without, unchosen = (style(images).numpy() for style in styles)
        np.testing.assert_array_equal(without, unchosen)


@pytest.mark.parametrize("spec", [STRONG, WITH_FOURIER])
def test_an_epoch_repeats_exactly_and_epochs_differ(images, spec):
    style = StyleVariation(spec, 3)

    def epoch(number):
        style.start_epoch(number)
        return [style(images).numpy() for _ in range(2)]

    first, again, other = epoch(0), epoch(0), epoch(1)
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first[0], first[1])
    assert not np.allclose(first, other)
    assert 0 <= np.min(first) <= np.max(first) <= 255


def test_two_workers_vary_their_images_as_one_does(images):
    spec = STRONG.model_copy(update={"exchange": 0.0})
    whole = StyleVariation(spec, 3)(images).numpy()
    parts = [StyleVariation(spec, 3, Share(i, 2))(images[2 * i : 2 * i + 2]).numpy() for i in range(2)]
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-3)


def test_masks_keep_their_place_and_the_plain_image_its_style(images):
    batch = {"image": tf.cast(images, tf.uint8), "mask": tf.cast(images[..., 0] > 120, tf.uint8)}
    spec = AugmentationSpec(
        rotation=0, zoom=0, translation=0, flip="none", brightness=0, contrast=0, style=STRONG
    )
    result = Augmentation(spec, 0)(batch)
    np.testing.assert_array_equal(result["mask"], batch["mask"])
    np.testing.assert_array_equal(result["plain"], tf.cast(batch["image"], tf.float32))
    assert not np.allclose(result["image"], result["plain"])
