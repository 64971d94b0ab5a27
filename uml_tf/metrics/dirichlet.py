"""How much, and in what way, a Dirichlet over class probabilities is in doubt."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, entr

Array = NDArray[Any]


def dirichlet_doubt(concentration: Array) -> dict[str, Array]:
    """Five measures of doubt of Dirichlet distributions, each a relative score, larger for more doubt.

    The mean is alpha / S; the expected entropy is psi(S + 1) - sum_k alpha_k / S psi(alpha_k + 1) (Malinin
    and Gales, 2018). TensorFlow Probability would load TensorFlow even for arrays; the tests compare with it.

    Args:
        concentration: ``(..., K)`` alpha, each above 0; evidential heads give at least 1.

    Returns:
        Name -> ``(...)``, float64:
        "entropy": of the mean, in [0, log K] nats; total doubt.
        "expected_entropy": mean entropy of the class probabilities that the Dirichlet draws, in
        [0, log K] nats; doubt that more evidence of the same kind would not remove.
        "mutual_information": entropy - expected_entropy, in [0, log K] nats; doubt from too little evidence.
        "dissonance": in [0, 1]; evidence that contradicts itself (Josang, Cho and Chen, 2018).
        "vacuity": K / S, in (0, 1] for evidential heads; the uncertainty of the output contract.
    """
    alpha = np.asarray(concentration, np.float64)
    strength = alpha.sum(axis=-1)
    mean = alpha / strength[..., None]
    entropy = entr(mean).sum(axis=-1)
    expected = digamma(strength + 1.0) - (mean * digamma(alpha + 1.0)).sum(axis=-1)
    return {
        "entropy": entropy,
        "expected_entropy": expected,
        # Never negative; at large strengths the difference of the two is rounding.
        "mutual_information": np.maximum(entropy - expected, 0.0),
        "dissonance": _dissonance((alpha - 1.0) / strength[..., None]),
        "vacuity": alpha.shape[-1] / strength,
    }


def _dissonance(belief: Array) -> Array:
    """sum_k b_k sum_{j != k} b_j Bal(b_j, b_k) / sum_{j != k} b_j of ``(..., K)`` belief masses.

    Bal(b_j, b_k) = 1 - |b_j - b_k| / (b_j + b_k), and 0 where either is 0.
    """
    total = belief.sum(axis=-1)
    dissonance = np.zeros_like(total)
    for k in range(belief.shape[-1]):
        own, balance = belief[..., k], np.zeros_like(total)
        for j in range(belief.shape[-1]):
            if j != k:
                other = belief[..., j]
                # b_j Bal(b_j, b_k), which is 2 b_j min(b_j, b_k) / (b_j + b_k).
                both = np.where(own + other > 0, own + other, 1.0)
                balance += 2.0 * other * np.minimum(own, other) / both
        rest = total - own
        dissonance += np.where(rest > 0, own * balance / np.where(rest > 0, rest, 1.0), 0.0)
    return dissonance
