"""How well a network finds a region on photographs that have an outline of it and no mask of its parts.

Run: ``python benchmarks/region_without_masks.py MODEL DATA [--split val]``, with DATA from
``uml-tf data origa RAW DATA --disc``, whose masks are 254 (rim or cup) inside the disc's ellipse; folders of
earlier versions, with 255, give the same figures. The Dice compares this region with everything that is
predicted as foreground, image by image, at the picture's size. Of two regions, one within the other and A
times as large, the Dice is 2 / (1 + A): it is told for the median A, as what the size alone costs.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

import uml_tf
from uml_tf.data.dataset import PreparedDataset
from uml_tf.data.reading import read_row


def main() -> None:
    """Reads the split and prints mean and median Dice, and the shares of foreground."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("data", type=Path)
    parser.add_argument("--split", default="val")
    options = parser.parse_args()
    model, dataset = uml_tf.load(options.model), PreparedDataset.open(options.data)
    dice, shares = [], []
    for row in dataset.split(options.split):
        image, mask = read_row(dataset, row)
        if mask is None:
            continue
        true, found = mask > 0, model.predict(image).mask > 0
        dice.append(2 * (true & found).sum() / (true.sum() + found.sum()))
        shares.append((found.mean(), true.mean()))
    predicted, truth = np.mean(shares, axis=0)
    ratio = np.median([found / true for found, true in shares])
    print(
        f"{len(dice)} images: Dice mean {np.mean(dice):.3f}, median {np.median(dice):.3f}; "
        f"foreground {predicted:.4f}, true {truth:.4f}, median ratio {ratio:.2f}: Dice of the size alone "
        f"{2 / (1 + max(ratio, 1 / ratio)):.3f}"
    )


if __name__ == "__main__":
    main()
