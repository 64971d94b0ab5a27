"""How much of the error of the estimated Dice another fit could take away.

Run: ``python benchmarks/estimated_dice.py RUN/images.csv ...``, the per-image tables of evaluations.
Beside the mean and median error it prints the least mean error that any rising function of the estimate
could have, chosen with these very images: what is left then is not for a fit to mend, only for another
score. ``--beside COLUMN ...`` tries such scores: for each the mean error, in six folds, of a logistic of the
estimate and that column, beside that of the estimate alone.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, logit

FOLDS = 6
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


def mean_error_in_folds(scores: NDArray[np.float64], dice: NDArray[np.float64]) -> float:
    """Mean absolute error of a logistic of ``scores`` (n, k) to ``dice`` (n,), each fold by the others."""
    scores = np.column_stack([np.ones(len(scores)), (scores - scores.mean(0)) / scores.std(0)])
    fold = np.random.default_rng(0).permutation(len(dice)) % FOLDS
    total = 0.0
    for held in range(FOLDS):
        fitted, tried = fold != held, fold == held

        def error(weights: NDArray[np.float64], used: NDArray[np.bool_] = fitted) -> float:
            return float(np.abs(expit(scores[used] @ weights) - dice[used]).mean())

        start = np.array([1.0, 1.0, *np.zeros(scores.shape[1] - 2)])
        total += error(minimize(error, start, method="Nelder-Mead").x, tried) * tried.sum()
    return total / len(dice)


def _beside(region: str, rows: list[dict[str, str]], columns: list[str]) -> str:
    known = _known(region, rows)
    dice = _dice(region, known)
    own = logit(np.clip([float(row[PREFIX + region]) for row in known], 1e-4, 1 - 1e-4))
    found = [f"alone {mean_error_in_folds(own[:, None], dice):.3f}"]
    for column in columns:
        other = np.array([float(row[column]) for row in known])
        both = np.column_stack([own, other])
        found.append(f"with {column} {mean_error_in_folds(both, dice):.3f}")
    return f"{region}, {FOLDS} folds: mean error {', '.join(found)}"


def _known(region: str, rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """The rows with a mask and an estimate."""
    return [row for row in rows if row.get(MASKED) and row[PREFIX + region]]


def _dice(region: str, rows: list[dict[str, str]]) -> NDArray[np.float64]:
    """``(n,)``; 0 where there is no such region."""
    return np.array([float(row[f"dice_{region}"] or 0) for row in rows])


def _told(region: str, rows: list[dict[str, str]]) -> str:
    known = _known(region, rows)
    if not known:
        return f"{region}: no image with a mask and an estimate"
    estimate = np.array([float(row[PREFIX + region]) for row in known])
    dice = _dice(region, known)
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
    parser.add_argument("--beside", nargs="+", default=[], metavar="COLUMN", help="Scores to try beside it.")
    options = parser.parse_args()
    for table in options.tables:
        with table.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        for name in rows[0] if rows else ():
            if name.startswith(PREFIX):
                region = name.removeprefix(PREFIX)
                print(f"{table}: {_told(region, rows)}")
                if options.beside:
                    print(f"{table}: {_beside(region, rows, options.beside)}")


if __name__ == "__main__":
    main()
