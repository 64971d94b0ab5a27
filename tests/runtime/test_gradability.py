"""The limit of gradability, fitted on validation images."""

from __future__ import annotations

import numpy as np
import pytest

from uml_tf.runtime.gradability import fit_gradability


def _images(count, seed):
    rng = np.random.default_rng(seed)
    return rng.normal(120, 20, (count, 1, 1, 3)) + rng.normal(0, 1, (count, 16, 16, 3)) * rng.uniform(
        5, 40, (count, 1, 1, 1)
    )


@pytest.mark.parametrize("count", [5, 100, 101, 201])
def test_the_limit_lies_on_no_image_and_keeps_the_stated_share(count):
    validation = _images(count, 1)
    fitted = fit_gradability(_images(300, 0), validation, quantile=0.99)
    scores = np.array([fitted.score(image)[0] for image in validation])
    assert (scores <= fitted.limit).mean() >= 0.99
    # A rounding of the score changes no decision on the images that it was fitted on.
    assert np.abs(scores - fitted.limit).min() > 1e-6
