"""A command of this tree against the same command of another commit, in turn.

Run: ``python benchmarks/commands.py --against COMMIT [--repeats 3] -- train --data DATA --epochs 2``.
Each run is a new process in a new folder, so a training creates its MLflow store too. CPU time is user and
system time of the process and of those that it starts. Words that name a file or folder are made absolute.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from other_commit import ROOT, run_timed, tree_of

_RUN = "from uml_tf.cli.main import main; main()"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--against", required=True, metavar="COMMIT")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("words", nargs="+", metavar="WORD", help="Of the command, behind --.")
    return parser.parse_args()


def _importable(tree: Path, folder: Path) -> Path:
    """The packages of a tree as they are installed: ``cli`` and ``export`` inside ``uml_tf``."""
    shutil.copytree(tree / "uml_tf", folder / "uml_tf")
    for part in ("cli", "export"):
        shutil.copytree(tree / part, folder / "uml_tf" / part)
    return folder


def _seconds(packages: Path, words: list[str]) -> tuple[float, float]:
    """Runs the command: (CPU seconds, seconds)."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"PYTHONPATH": str(packages)}
        return run_timed([sys.executable, "-c", _RUN, *words], Path(folder), environment)


def _print_table(trees: dict[str, Path], words: list[str], repeats: int) -> None:
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in trees}
    for turn in range(repeats + 1):
        for name, packages in trees.items():
            seconds = _seconds(packages, words)
            if turn:  # the first compiles the modules, and reads files that no cache holds
                found[name].append(seconds)
    print(f"uml-tf {' '.join(words)}; medians of {repeats} runs in turn\n")
    print("| tree | CPU | time |\n| --- | --- | --- |")
    for name, runs in found.items():
        cpu, seconds = (statistics.median(column) for column in zip(*runs, strict=True))
        print(f"| {name} | {cpu:.1f} s | {seconds:.1f} s |")


def main() -> None:
    """Prints the table."""
    options = _arguments()
    words = [str(Path(word).resolve()) if Path(word).exists() else word for word in options.words]
    with tempfile.TemporaryDirectory() as folder, tree_of(options.against) as other:
        old, new = (Path(folder) / name for name in ("old", "new"))
        trees = {options.against: _importable(other, old), "this tree": _importable(ROOT, new)}
        _print_table(trees, words, options.repeats)


if __name__ == "__main__":
    main()
