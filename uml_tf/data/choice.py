"""Choosing a few images of a data set to look at."""

from __future__ import annotations

import numpy as np

from uml_tf.runtime.images import Array


def choose(labels: Array, has_mask: Array, count: int, seed: int) -> Array:
    """Indices of ``count`` images at random, the classes in turn, those with a mask first.

    Args:
        labels: ``(N,)`` class of each image, numbers or names.
        has_mask: ``(N,)`` whether it has a mask.
        count: at most so many.
        seed: of the choice.
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    order = order[np.argsort(-has_mask[order].astype(float), kind="stable")]
    by_class = [order[labels[order] == label] for label in np.unique(labels)]
    longest = max(map(len, by_class))
    turns = [members[i] for i in range(longest) for members in by_class if i < len(members)]
    return np.array(turns[:count])
