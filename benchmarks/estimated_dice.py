"""How much of the error of the estimated Dice another fit could take away.

Run: ``python benchmarks/estimated_dice.py RUN/images.csv ...``, the per-image tables of evaluations.
Beside the mean and median error it prints the least mean error that any rising function of the estimate
could have, chosen with these very images: what is left then is not for a fit to mend, only for another
score.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

PREFIX = "quality_"
MASKED = "mask_doubt_vacuity"
"""A column that images without a mask leave empty."""


def least_mean_error(estimate: NDArray[np.float64], dice: NDArray[np.float64]) -> float:
    """The least mean absolute error of a rising function of ``estimate`` (n,) to ``dice`` (n,).

    Isotonic regression for absolute errors: neighbours that fall are pooled, and a pool takes its median.
    """
    pools: list[list[float]] = []
    for value in np.unique(estimate):
        pools.append(list(dice[estimate == value]))
        while len(pools) > 1 and np.median(pools[-2]) > np.median(pools[-1]):
            last = pools.pop()
            pools[-1] += last
    return float(sum(np.abs(np.array(pool) - np.median(pool)).sum() for pool in pools) / len(dice))


def _told(region: str, rows: list[dict[str, str]]) -> str:
    known = [row for row in rows if row.get(MASKED) and row[PREFIX + region]]
    if not known:
        return f"{region}: no image with a mask and an estimate"
    estimate = np.array([float(row[PREFIX + region]) for row in known])
    dice = np.array([float(row[f"dice_{region}"] or 0) for row in known])  # 0: there is no such region
    errors = np.abs(estimate - dice)
    return (
        f"{region}: {len(known)} images, mean error {errors.mean():.3f}, median {np.median(errors):.3f}, "
        f"least mean error of a rising function {least_mean_error(estimate, dice):.3f}, "
        f"of one number for all {np.abs(dice - np.median(dice)).mean():.3f}"
    )


def main() -> None:
    """Prints a line for each table and region."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", type=Path, nargs="+")
    for table in parser.parse_args().tables:
        with table.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        for name in rows[0] if rows else ():
            if name.startswith(PREFIX):
                print(f"{table}: {_told(name.removeprefix(PREFIX), rows)}")


if __name__ == "__main__":
    main()
