"""What a split by chance hides: near-duplicates of test images among the training images.

Run: ``python benchmarks/random_split.py DATA OUT`` writes DATA with its images dealt out anew, each by
itself, as many to each split and class as before; then ``uml-tf train --data OUT ...``, and ``python
benchmarks/random_split.py DATA OUT --measured RUN/images.csv`` tells the test images that have a
near-duplicate in training, by the groups of DATA, from the others. No result of such a split says
anything of new patients.
"""

from __future__ import annotations

import argparse
import csv
import shutil
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from uml_tf.data.dataset import PreparedDataset, Row, write_dataset


def _dealt(dataset: PreparedDataset, seed: int) -> list[str]:
    """A split for each row; of each class, with and without mask, each split has as many as before."""
    strata = defaultdict(list)
    for index, row in enumerate(dataset.rows):
        strata[row.label, bool(row.mask)].append(index)
    splits = [row.split for row in dataset.rows]
    rng = np.random.default_rng(seed)
    for members in strata.values():
        for index, other in zip(members, rng.permutation(members), strict=True):
            splits[index] = dataset.rows[other].split
    return splits


def write_copy(dataset: PreparedDataset, rows: Sequence[Row], out: Path) -> None:
    """Writes a data set of changed rows, with copies of the files that they name."""
    for row in rows:
        for path in row.files:
            (out / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(dataset.root / path, out / path)
    write_dataset(out, dataset.info, rows)


def _alone(dataset: PreparedDataset, seed: int) -> list[Row]:
    splits = _dealt(dataset, seed)
    return [replace(row, split=s, subject=row.image) for row, s in zip(dataset.rows, splits, strict=True)]


def _twins(dataset: PreparedDataset, dealt: PreparedDataset) -> dict[str, bool]:
    """Test image -> whether an image of its subject, here a group of near-duplicates, is in training."""
    group = {row.image: row.subject for row in dataset.rows}
    trained = {group[row.image] for row in dealt.rows if row.split == "train"}
    return {row.image: group[row.image] in trained for row in dealt.rows if row.split == "test"}


def _told(name: str, rows: list[dict[str, str]]) -> str:
    rows = [row for row in rows if row["label"]]
    if not rows:
        return f"{name}: no test image"
    right = np.mean([row["label"] == row["predicted"] for row in rows])
    dice = [float(row["mean_dice"]) for row in rows if row.get("mean_dice")]
    found = f"{np.mean(dice):.3f}" if dice else "not known"
    return f"{name}: {len(rows)} test images, accuracy {right:.3f}, Dice {found}"


def main() -> None:
    """Writes the split, or prints accuracy and Dice of test images with and without a near-duplicate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--measured", type=Path)
    options = parser.parse_args()
    if options.measured is None and options.out.exists():
        parser.error(f"OUT: found {options.out}, expected a folder that does not exist")
    dataset = PreparedDataset.open(options.data)
    if options.measured is None:
        write_copy(dataset, _alone(dataset, options.seed), options.out)
    twins = _twins(dataset, PreparedDataset.open(options.out))
    print(f"{sum(twins.values())} of {len(twins)} test images have a near-duplicate in training")
    if options.measured is not None:
        with options.measured.open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["image"] in twins]
        for name, wanted in (("with", True), ("without", False)):
            print(_told(name, [row for row in rows if twins[row["image"]] == wanted]))


if __name__ == "__main__":
    main()
