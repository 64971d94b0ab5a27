"""Anything that answers the contract: a Keras network, an exported file, a runtime of another make."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Outputs = dict[str, NDArray[Any]]


class Predictor(Protocol):
    """Outputs images of one size, at most ``batch_size`` at a time.

    Attributes:
        image_size: (H, W).
        batch_size: at least 1.
    """

    image_size: tuple[int, int]
    batch_size: int

    def __call__(self, images: NDArray[Any]) -> Outputs:
        """The contract's answers to ``(N, H, W, 3)`` images in [0, 255]."""


def predict_all(source: Predictor, images: NDArray[Any]) -> Outputs:
    """The answers to any number of images."""
    chunks = [
        source(images[start : start + source.batch_size])
        for start in range(0, len(images), source.batch_size)
    ]
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}
