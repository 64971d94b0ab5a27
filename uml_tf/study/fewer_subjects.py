"""Fewer subjects to train on, for a learning curve: what more images would be worth.

The subjects of a smaller share are among those of every larger one, so that the points of a curve differ by
what was added. Validation and test split stay as they are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from uml_tf.data.dataset import PreparedDataset, Row
from uml_tf.study.folds import divided_anew, stratum_of, subject_of


def trained_subjects(rows: Sequence[Row], share: float, seed: int) -> set[str]:
    """The training subjects that are kept, at random, as large a share of every stratum as can be.

    Args:
        rows: of the data set; those of other splits are passed over.
        share: of the subjects, in (0, 1]. At least one is kept of each stratum, which is formed by the kinds
            of image that its subjects have (see ``stratum_of``).
        seed: of the choice.
    """
    kinds: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        if row.split == "train":
            kinds[subject_of(row)].add(stratum_of(row))
    strata: dict[str, list[str]] = defaultdict(list)
    for subject, found in kinds.items():
        strata[", ".join(sorted(found))].append(subject)
    rng = np.random.default_rng(seed)
    kept: set[str] = set()
    for name in sorted(strata):
        order = rng.permutation(sorted(strata[name]))
        kept.update(map(str, order[: max(1, round(share * len(order)))]))
    return kept


def with_fewer_subjects(
    dataset: PreparedDataset, share: float, seed: int, parent: Path, part: str
) -> PreparedDataset:
    """The data set with a share of its training subjects, in a folder of its own; itself where all are kept.

    Args:
        dataset: the data set.
        share: of the subjects, in (0, 1].
        seed: of the choice.
        parent: of the folder.
        part: a word for the folder's name; see ``divided_anew``.

    Raises:
        UmlError: the folder cannot be written.
    """
    kept = trained_subjects(dataset.rows, share, seed)
    splits = [row.split if row.split != "train" or subject_of(row) in kept else "" for row in dataset.rows]
    return dataset if "" not in splits else divided_anew(dataset, splits, parent, part)
