"""How well glaucoma is told by the class, by the ratio that the mask measures, and by both together.

Run: ``python benchmarks/cup_to_disc_auc.py IMAGES.CSV...``, the tables of images that ``uml-tf train`` and
``uml-tf evaluate`` write. The ratio is the root of cup over disc by area; "both" is the sum of the two after
each was brought to mean 0 and deviation 1, with nothing fitted.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score


def _standard(values: np.ndarray) -> np.ndarray:
    return (values - values.mean()) / values.std()


def main() -> None:
    """Prints the three AUCs for each table and, over all tables, for each source."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", type=Path, nargs="+")
    options = parser.parse_args()
    rows = []
    for table in options.tables:
        with table.open(encoding="utf-8", newline="") as file:
            rows += [{**row, "table": str(table)} for row in csv.DictReader(file)]
    ill = np.array([row["label"] == "glaucoma" for row in rows])
    chance = np.array([float(row["probability_glaucoma"]) for row in rows])
    cup, disc = (np.array([float(row[f"share_{name}"]) for row in rows]) for name in ("cup", "disc"))
    odds = np.log(chance / (1 - chance))
    ratio = np.sqrt(cup / np.maximum(disc, 1e-6))
    groups = {"all": np.ones(len(rows), bool)}
    for column in ("table", "dataset"):
        names = np.array([row[column] for row in rows])
        groups |= {name: names == name for name in np.unique(names) if name}
    for name, chosen in groups.items():
        both = _standard(odds[chosen]) + _standard(ratio[chosen])
        aucs = [roc_auc_score(ill[chosen], score) for score in (odds[chosen], ratio[chosen], both)]
        print(
            f"{name}: {chosen.sum()} images; AUC by "
            + "class {:.3f}, ratio {:.3f}, both {:.3f}".format(*aucs)
        )


if __name__ == "__main__":
    main()
