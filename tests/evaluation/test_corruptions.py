"""Corruptions of a picture: equal for equal seeds, worse with every severity."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from uml_tf.evaluation.corruptions import CORRUPTIONS, SEVERITIES, corrupt


@pytest.fixture(scope="module")
def picture():
    rng = np.random.default_rng(0)
    rough = rng.uniform(60, 190, (6, 8, 3)).astype(np.float32)
    smooth = cv2.resize(rough, (128, 96), interpolation=cv2.INTER_CUBIC)
    return np.clip(smooth + rng.normal(0, 4, smooth.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_corruption_is_decided_by_seed_and_picture_and_grows_with_the_severity(picture, name):
    before = picture.copy()
    assert corrupt(picture, name, 0, "a.png") is picture
    changes = []
    for severity in SEVERITIES:
        found = corrupt(picture, name, severity, "a.png")
        assert (found.shape, found.dtype) == (picture.shape, np.uint8)
        np.testing.assert_array_equal(found, corrupt(picture, name, severity, "a.png"))
        changes.append(np.abs(found.astype(float) - picture).mean())
    np.testing.assert_array_equal(picture, before)
    assert changes[0] > 0
    if name != "shuffled tiles":  # which move the same pixels, whatever the number of tiles
        assert changes == sorted(changes)


@pytest.mark.parametrize("name", ["Gaussian noise", "salt-and-pepper noise", "motion", "shuffled tiles"])
def test_other_pictures_and_seeds_have_other_random_numbers(picture, name):
    found = corrupt(picture, name, 3, "a.png")
    assert (found != corrupt(picture, name, 3, "b.png")).any()
    assert (found != corrupt(picture, name, 3, "a.png", seed=1)).any()


def test_noise_has_the_stated_strength():
    grey = np.full((200, 200, 3), 128, np.uint8)
    noisy = corrupt(grey, "Gaussian noise", 3, "a").astype(float)
    assert noisy.std() == pytest.approx(20, rel=0.02)
    specks = corrupt(grey, "salt-and-pepper noise", 5, "a")
    assert (specks != grey).any(axis=-1).mean() == pytest.approx(0.2, abs=0.01)
    assert set(np.unique(specks)) == {0, 128, 255}


def test_blur_and_contrast_keep_the_mean_and_brightness_moves_it(picture):
    for name in ("defocus", "motion", "contrast"):
        assert corrupt(picture, name, 5, "a").mean() == pytest.approx(picture.mean(), abs=3)
    moved = [corrupt(picture, "brightness", 2, str(i)).mean() - picture.mean() for i in range(20)]
    assert {round(abs(change)) for change in moved} <= {29, 30}
    assert {change > 0 for change in moved} == {True, False}


def test_blur_grows_with_the_picture():
    dot = np.zeros((256, 256, 3), np.uint8)
    dot[128, 128] = 255
    small = corrupt(dot[64:192, 64:192], "defocus", 5, "a")
    assert (corrupt(dot, "defocus", 5, "a") > 0).sum() > 3 * (small > 0).sum()


def test_every_tile_is_moved_and_none_is_lost_and_a_mask_moves_along():
    image = np.arange(64 * 64).reshape(64, 64).astype(np.int32)
    for severity, count in zip(SEVERITIES, (2, 3, 4, 6, 8), strict=True):
        moved = corrupt(image, "shuffled tiles", severity, "a")
        side = 64 // count * count
        np.testing.assert_array_equal(np.sort(moved.ravel()), image.ravel())
        assert (moved[:side, :side] != image[:side, :side]).all()
        colour = corrupt(np.stack([image] * 3, axis=-1), "shuffled tiles", severity, "a")
        np.testing.assert_array_equal(colour[..., 0], moved)
