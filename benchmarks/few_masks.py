"""A data set with few masks to train on and all to be measured on.

Run: ``python benchmarks/few_masks.py ALL FEW OUT``. ALL and FEW hold the same images, by name, ALL with
more masks; OUT has the images and splits of ALL, and of the masks of training and validation images those
that FEW has. So ``uml-tf data busi RAW ALL --extra-masks FOLDER`` and ``uml-tf data busi RAW FEW`` give the
data set of "BUSI with 119 masks" in docs/results.md.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from random_split import write_copy

from uml_tf.data.dataset import PreparedDataset, Row


def _few(dataset: PreparedDataset, masked: set[str]) -> list[Row]:
    """The rows without masks, outside the test split, of images that are not among ``masked``."""
    keeps = [row.split == "test" or row.image in masked for row in dataset.rows]
    return [
        row if keep else replace(row, mask="", agreement="")
        for row, keep in zip(dataset.rows, keeps, strict=True)
    ]


def main() -> None:
    """Writes OUT and prints how many images of each split have a mask."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("all", type=Path)
    parser.add_argument("few", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    if options.out.exists():
        parser.error(f"OUT: found {options.out}, expected a folder that does not exist")
    dataset, few = PreparedDataset.open(options.all), PreparedDataset.open(options.few)
    if {row.image for row in few.rows} != {row.image for row in dataset.rows}:
        parser.error(f"FEW: found other images in {options.few}, expected those of {options.all}")
    rows = _few(dataset, {row.image for row in few.rows if row.mask})
    write_copy(dataset, rows, options.out)
    for split in ("train", "val", "test"):
        chosen = [row for row in rows if row.split == split]
        print(f"{split}: {len(chosen)} images, {sum(bool(row.mask) for row in chosen)} with a mask")


if __name__ == "__main__":
    main()
