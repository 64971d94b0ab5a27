"""The Dice of lesions of BUSI at their original size, and of those that were squeezed to 256 x 256 before.

Run: ``python benchmarks/squeezed.py DATA RUN/images.csv ...``: DATA is the prepared set, the tables are the
per-image ones of evaluations. Those of several folds are joined, images of several seeds count by their mean.
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from pathlib import Path

import numpy as np

from uml_tf.data.dataset import PreparedDataset
from uml_tf.metrics.bootstrap import bootstrap
from uml_tf.metrics.draws import in_parts, mean_of_draws
from uml_tf.runtime.images import read_image

SQUEEZED = (256, 256)


def main() -> None:
    """Prints a line for each of the two groups."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("tables", type=Path, nargs="+")
    options = parser.parse_args()
    dataset = PreparedDataset.open(options.data)
    subject = {row.image: row.subject for row in dataset.rows}
    dice: dict[str, list[float]] = defaultdict(list)
    for table in options.tables:
        with table.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                if row["dice_lesion"]:
                    dice[row["image"]].append(float(row["dice_lesion"]))
    groups: dict[str, list[str]] = {"squeezed": [], "original size": []}
    for image in dice:
        size = read_image(dataset.root / image).shape[:2]
        groups["squeezed" if size == SQUEEZED else "original size"].append(image)
    for name, images in groups.items():
        values = np.array([np.mean(dice[image]) for image in images])
        mean = mean_of_draws(values)
        statistic = in_parts(lambda draws, mean=mean: mean(draws)[:, None])  # type: ignore[misc]
        (found,) = bootstrap(statistic, [subject[image] for image in images])
        print(
            f"{name}: {len(images)} lesions, Dice {found.value:.3f} ({found.low:.3f} to {found.high:.3f}), "
            f"under .1: {(values < 0.1).mean():.1%}"
        )


if __name__ == "__main__":
    main()
