"""Maps as PNG with a palette: every reader gets the colours of the map."""

from __future__ import annotations

import io

import cv2
import numpy as np
from PIL import Image

from uml_tf.runtime.overlay import uncertainty_colours, uncertainty_levels, uncertainty_map
from uml_tf.runtime.palette import encode_with_palette


def test_map_with_a_palette_reads_as_the_same_colours_everywhere():
    uncertainty = np.random.default_rng(0).random((37, 61)).astype(np.float32)
    levels = uncertainty_levels(uncertainty)
    encoded = encode_with_palette(levels, uncertainty_colours())
    picture = Image.open(io.BytesIO(encoded))
    assert picture.mode == "P"
    assert np.array_equal(np.asarray(picture), levels)
    shown = uncertainty_map(uncertainty)
    assert np.array_equal(np.asarray(picture.convert("RGB")), shown)
    assert np.array_equal(cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR_RGB), shown)
