"""Stratified splits that never divide a subject."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from uml_tf.data.dataset import SPLITS


def stratified_group_split(
    strata: Sequence[str],
    subjects: Sequence[str],
    fractions: tuple[float, float, float] = (0.7, 0.1, 0.2),
    seed: int = 0,
) -> list[str]:
    """Assigns each image to "train", "val" or "test".

    Subjects are taken largest first, then at random, and each goes to the split that lacks it most, by
    the count of the subject's own strata; so every split has close to its share of every stratum.

    Args:
        strata: stratum of each image, e.g. class and whether it has a mask.
        subjects: subject of each image.
        fractions: shares of train, val and test; must sum to 1.
        seed: seed of the order among subjects of equal size.

    Returns:
        The split of each image.
    """
    if not np.isclose(sum(fractions), 1.0):
        raise ValueError(f"fractions: found {fractions}, expected a sum of 1")
    members: dict[str, list[int]] = defaultdict(list)
    for index, subject in enumerate(subjects):
        members[subject].append(index)
    names = sorted(set(strata))
    total = np.array([list(strata).count(name) for name in names], float)
    wanted = np.array(fractions)[:, None] * total[None, :]
    lacking = wanted.copy()
    order = np.random.default_rng(seed).permutation(sorted(members))
    assigned = [""] * len(strata)
    for subject in sorted(order, key=lambda s: -len(members[s])):
        count = np.array([sum(strata[i] == name for i in members[subject]) for name in names], float)
        share = np.divide(lacking, wanted, out=np.full_like(lacking, -np.inf), where=wanted > 0)
        split = int(np.argmax(np.where(count > 0, share * count, 0.0).sum(axis=1)))
        lacking[split] -= count
        for index in members[subject]:
            assigned[index] = SPLITS[split]
    return assigned
