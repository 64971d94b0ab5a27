"""Familiarity: how like the training images an image is, by a Gaussian density over what the encoders see.

Every function takes the array module as ``xp`` (``numpy`` by default, ``keras.ops`` inside a network).
There is no matrix product in it: exporters would take one for a layer of the network and round its weights.

Source: the density of features as a measure of unlike images is Lee et al., NeurIPS 2018; probabilistic
principal components are Tipping and Bishop, 1999.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from uml_tf.runtime.packed import Packed

SHARPNESS = 4
"""Number of the sharpness terms."""

_FLAT = 1e-3

_FALL = 4.0
"""Familiarity is 1 / (1 + (4 excess)^2): .5 at 1.25 times the limit, .2 at 1.5 times. Unlike an exponential
it is flat at the limit and does not vanish in float32, so that the order of the classes survives it."""


def _halved(grey: Any) -> Any:
    """Means of 2 x 2 pixels of ``(B, H, W)``, H and W even."""
    rows = grey[:, ::2] + grey[:, 1::2]
    return (rows[:, :, ::2] + rows[:, :, 1::2]) * 0.25


def sharpness(images: Any, xp: ModuleType = np) -> Any:
    """Logarithms of the mean absolute Laplacian and gradient of the grey value, at two scales: ``(B, 4)``.

    Args:
        images: ``(B, H, W, 3)`` float32 in [0, 255]; H and W even.
        xp: ``numpy`` or ``keras.ops``.
    """
    grey = (images[..., 0] + images[..., 1] + images[..., 2]) * float(1 / (3 * 255))
    terms = []
    for _ in range(2):
        around = grey[:, :-2, 1:-1] + grey[:, 2:, 1:-1] + grey[:, 1:-1, :-2] + grey[:, 1:-1, 2:]
        laplacian = xp.abs(grey[:, 1:-1, 1:-1] * 4.0 - around)
        gradient = xp.abs(grey[:, 1:, :-1] - grey[:, :-1, :-1]) + xp.abs(grey[:, :-1, 1:] - grey[:, :-1, :-1])
        terms += [xp.mean(values, axis=(1, 2)) for values in (laplacian, gradient)]
        grey = _halved(grey)
    return xp.log(xp.stack(terms, axis=1) + _FLAT)


@dataclass(frozen=True)
class Gaussian:
    """A Gaussian of vectors: a few principal directions with a variance each, one variance for the rest.

    Attributes:
        mean, scale: ``(D,)``; a vector is standardised by them first.
        directions: ``(D, R)`` orthonormal.
        variances: ``(R,)`` of the standardised vector along them, above 0.
        residual: variance along every other direction, above 0.
        limit: largest distance of an image that counts as familiar.
    """

    mean: Packed
    scale: Packed
    directions: Packed
    variances: Packed
    residual: float
    limit: float

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Gaussian:
        """From the fields as JSON gives them."""
        packed = ("mean", "scale", "directions", "variances")
        return cls(**{**data, **{name: Packed.from_dict(data[name]) for name in packed}})

    def distance(self, vectors: Any, xp: ModuleType = np) -> Any:
        """Root of the squared Mahalanobis distance over D, ``(B, 1)``, of ``(B, D)``; about 1 inside."""
        directions = self.directions.array
        size = directions.shape[0]
        standard = (vectors - self.mean.array[None]) * (1 / self.scale.array)[None]
        along = xp.sum(xp.reshape(standard, (-1, size, 1)) * directions[None], axis=1)
        rest = standard - xp.sum(xp.reshape(along, (-1, 1, directions.shape[1])) * directions[None], axis=-1)
        along = along * (1 / np.sqrt(self.variances.array))[None]
        squares = xp.sum(along * along, axis=-1, keepdims=True) + xp.sum(
            rest * rest, axis=-1, keepdims=True
        ) * float(1 / self.residual)
        return xp.sqrt(squares * float(1 / size))


@dataclass(frozen=True)
class Density:
    """The training images' density: one Gaussian of the encoders' features, one of the sharpness.

    They are apart because four numbers among many would not be heard, and blur shows in them alone.

    Attributes:
        features: over the global means of the encoders' two coarsest levels.
        sharpness: over ``sharpness`` of the image.
    """

    features: Gaussian
    sharpness: Gaussian

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Density:
        """From the fields as JSON gives them."""
        return cls(*(Gaussian.from_dict(data[name]) for name in ("features", "sharpness")))

    def excess(self, features: Any, terms: Any, xp: ModuleType = np) -> Any:
        """How far an image is beyond its limit, as a share of it, ``(B, 1)``; 0 within.

        Args:
            features: ``(B, D)``.
            terms: ``(B, 4)``, its sharpness.
            xp: ``numpy`` or ``keras.ops``.
        """
        ratios = [
            gaussian.distance(vectors, xp) * float(1 / gaussian.limit)
            for gaussian, vectors in ((self.features, features), (self.sharpness, terms))
        ]
        return xp.maximum(xp.maximum(ratios[0], ratios[1]) - 1.0, 0.0)

    def familiarity(self, features: Any, terms: Any, xp: ModuleType = np) -> Any:
        """``(B, 1)`` in (0, 1]: 1 within the limits, beyond them falling strictly towards 0."""
        beyond = self.excess(features, terms, xp) * _FALL
        return 1.0 / (1.0 + beyond * beyond)
