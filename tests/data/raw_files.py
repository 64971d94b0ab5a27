"""Small raw files for the tests of converters."""

from __future__ import annotations

from collections import Counter

import cv2
import numpy as np

from uml_tf.data.check import check_dataset
from uml_tf.data.conversion import convert
from uml_tf.data.converter import CONVERTERS
from uml_tf.data.masks import read_mask

COUNT = 12
"""Images of the folders that the tests write."""


def photo(seed, size=(40, 50)):
    """A made-up RGB photograph (H, W, 3)."""
    small = np.random.default_rng(seed).integers(0, 255, (6, 7, 3), dtype=np.uint8)
    return cv2.resize(small, size[::-1], interpolation=cv2.INTER_CUBIC)


def write(path, picture):
    """Writes an RGB or grey picture, and its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = np.asarray(picture, np.uint8)
    assert cv2.imwrite(str(path), picture if picture.ndim == 2 else picture[..., ::-1])


def box(top, bottom, left, right, value=255, size=(40, 50)):
    """A grey mask with one rectangle."""
    mask = np.zeros(size, np.uint8)
    mask[top:bottom, left:right] = value
    return mask


def convert_raw(format_, raw, out, /, **options):
    """Runs a converter; returns the data set and the problems."""
    converter = CONVERTERS[format_]
    return convert(converter, raw, out, converter.options(**options))


def by_stem(dataset):
    """Rows by the name of their image."""
    return {row.image.split("/")[-1].rsplit(".", 1)[0]: row for row in dataset.rows}


def mask_of(dataset, stem):
    """The mask of an image of a prepared data set."""
    return read_mask(dataset.root / by_stem(dataset)[stem].mask)


def splits(dataset):
    """How many images each split has."""
    return Counter(row.split for row in dataset.rows)


def is_sound(dataset):
    """Whether a check finds no problem."""
    return check_dataset(dataset).problems == []
