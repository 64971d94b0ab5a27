"""Anything that returns the output contract: a Keras network, an exported file, another runtime."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Outputs = dict[str, NDArray[Any]]
"""Name of the output contract -> array with the batch axis first."""


class Predictor(Protocol):
    """Reads images of one size, at most ``batch_size`` at a time.

    Attributes:
        image_size: (H, W).
        batch_size: at least 1.
    """

    image_size: tuple[int, int]
    batch_size: int

    def __call__(self, images: NDArray[Any]) -> Outputs:
        """The contract's outputs for ``(N, H, W, 3)`` images in [0, 255]."""


def predict_all(predictor: Predictor, images: NDArray[Any]) -> Outputs:
    """The contract's outputs for any number of images.

    Args:
        predictor: the model, in any form.
        images: ``(N, H, W, 3)`` in [0, 255], N at least 1, of the predictor's size.
    """
    chunks = [
        predictor(images[start : start + predictor.batch_size])
        for start in range(0, len(images), predictor.batch_size)
    ]
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}
