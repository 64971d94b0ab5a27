"""Measures of doubt of a Dirichlet distribution, in closed form."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, entr


def dirichlet_doubt(concentration: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Entropy of the mean, expected entropy, mutual information, dissonance and vacuity.

    Args:
        concentration: ``(..., K)``, at least 1.

    Returns:
        "entropy", "expected_entropy", "mutual_information", "dissonance", "vacuity", ``(...)`` each.
    """
    alpha = np.asarray(concentration, np.float64)
    strength = alpha.sum(axis=-1, keepdims=True)
    mean = alpha / strength
    entropy = entr(mean).sum(axis=-1)
    expected = (mean * (digamma(strength + 1) - digamma(alpha + 1))).sum(axis=-1)
    belief = (alpha - 1) / strength
    return {
        "entropy": entropy,
        "expected_entropy": expected,
        "mutual_information": entropy - expected,
        "dissonance": _dissonance(belief),
        "vacuity": alpha.shape[-1] / strength[..., 0],
    }


def _dissonance(belief: NDArray[Any]) -> NDArray[Any]:
    one, other = belief[..., :, None], belief[..., None, :]
    both = one + other
    balance = np.where(both > 0, 1 - np.abs(one - other) / np.where(both > 0, both, 1), 0)
    balance = balance * (1 - np.eye(belief.shape[-1]))
    rest = belief.sum(axis=-1, keepdims=True) - belief
    weighted = (other * balance).sum(axis=-1)
    return (belief * np.where(rest > 0, weighted / np.where(rest > 0, rest, 1), 0)).sum(axis=-1)
