"""Means over the surroundings of a pixel, in NumPy and in keras.ops alike."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from uml_tf.runtime.surroundings import SHARE, surroundings


def _maps(height, width, seed=0):
    return np.random.default_rng(seed).normal(0, 2, (2, height, width, 3)).astype(np.float32)


@pytest.mark.parametrize("size", [(16, 16), (16, 24), (64, 48), (96, 96)])
def test_numpy_and_keras_agree_and_what_is_constant_stays(size):
    maps = _maps(*size)
    maps[..., 2] = 1.5
    found = surroundings(maps)
    assert found.shape == maps.shape
    np.testing.assert_allclose(found[..., 2], 1.5, atol=1e-5)
    np.testing.assert_allclose(found, surroundings(keras.ops.convert_to_tensor(maps), keras.ops), atol=1e-5)


def test_it_is_the_mean_over_the_part_of_the_square_inside_the_picture():
    """At 16 x 16 every pixel is a cell; those at the end of the square count by the share that it covers."""
    maps, wide = _maps(16, 16), SHARE * 16
    place = np.arange(16)
    share = np.clip(wide / 2 + 0.5 - np.abs(place[:, None] - place[None]), 0, 1)
    for row, column in ((0, 0), (8, 8), (15, 3)):
        weight = share[row][:, None] * share[column][None]
        expected = (maps * weight[None, ..., None]).sum((1, 2)) / weight.sum()
        np.testing.assert_allclose(surroundings(maps)[:, row, column], expected, atol=1e-5)


def test_a_coarser_grid_is_close_to_a_mean_of_every_pixel():
    maps = np.zeros((1, 192, 192, 1), np.float32)
    maps[0, 60:110, 80:150] = 4.0
    half = 32
    padded = np.pad(maps[0, ..., 0], half, mode="constant", constant_values=np.nan)
    for row, column in ((96, 96), (85, 115), (10, 180)):
        around = np.nanmean(padded[row : row + 2 * half, column : column + 2 * half])
        assert abs(surroundings(maps)[0, row, column, 0] - around) < 0.1
