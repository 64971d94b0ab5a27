"""In how many random resplits does the risk among the accepted stay under its promise?

Run: ``python benchmarks/kept_promise.py VAL/images.csv TEST/images.csv [--risk-target 0.05 0.1]``, on
tables that ``uml-tf evaluate MODEL --split val --out VAL`` and ``--split test --out TEST`` wrote. The
images of all tables are split anew by subject; the threshold of acceptance is fitted on as large a part as
the first table is, and the accepted images of the rest are counted. The confidence itself stays as the
network gives it.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np

from uml_tf.runtime.referral import FAMILIAR
from uml_tf.training.resplits import check_promise


def _read(path):
    """The labelled images of a table: (confidence, correct, gradable, subject) each."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["label"]]
    return [
        (
            float(row["class_confidence"]),
            row["label"] == row["predicted"],
            float(row["familiarity"] or 1) >= FAMILIAR and row.get("region_found") != "no",
            row["subject"] or row["image"],
        )
        for row in rows
    ]


def _line(target, stated, found):
    """A row of the Markdown table."""
    kept, idle = sum(one.keeps(target) for one in found), sum(one.above is None for one in found)
    accepted, wrong = (sum(getattr(one, name) for one in found) for name in ("accepted", "wrong"))
    coverage = np.mean([one.accepted / one.images for one in found])
    risk = f"{wrong / accepted:.3f}" if accepted else "none accepted"
    return f"| {target:g} with {stated:g} | {kept} of {len(found)} | {idle} | {coverage:.3f} | {risk} |"


def main():
    """Prints a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", type=Path, nargs="+", help="images.csv; the first is as large as the fit")
    parser.add_argument("--resplits", type=int, default=100)
    parser.add_argument("--risk-target", type=float, nargs="+", default=[0.05])
    parser.add_argument("--confidence", type=float, default=0.9)
    options = parser.parse_args()
    tables = [_read(path) for path in options.tables]
    images = [image for table in tables for image in table]
    confidence, correct, gradable, subjects = (np.array(column) for column in zip(*images, strict=True))
    share = len(tables[0]) / len(images)
    print(
        f"{len(images)} images, {correct.mean():.3f} of them right, {share:.2f} of the subjects to fit on\n"
    )
    print("| promise | kept | resplits that accept none | mean coverage | risk among all accepted |")
    print("| --- | --- | --- | --- | --- |")
    for target in options.risk_target:
        answers = (confidence, correct, gradable, subjects)
        found = check_promise(*answers, share, options.resplits, target, options.confidence)
        print(_line(target, options.confidence, found))


if __name__ == "__main__":
    main()
