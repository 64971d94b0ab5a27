"""Reading images with an exported file: this tree's run.py against that of another commit, in turn.

Run: ``python benchmarks/predict.py MODEL.tflite IMAGE... --against COMMIT [--repeats 5]``. Every run is a new
process. CPU time is user and system time of the process; what an image adds is the difference between a run
over all images and a run over the first, divided by the images between.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

START = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
try:
    from uml_tf.runtime.threads import prefer_parallel_images
except ImportError:  # a commit before there was one
    pass
else:
    prefer_parallel_images()
from uml_tf.runtime.main import main
sys.exit(main(Path(sys.argv[2]), sys.argv[3:]))
"""
"""What a bundle's run.py does after it has compared its files."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("images", type=Path, nargs="+")
    parser.add_argument("--against", required=True, metavar="COMMIT")
    parser.add_argument("--repeats", type=int, default=5)
    return parser.parse_args()


def run(tree: Path, model: Path, images: list[Path], *options: str) -> tuple[float, float]:
    """Reads images in a new process and folder: (CPU seconds, seconds)."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-c", START, tree, model, *images, "--out", Path(out) / "new", *options]
        used, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        environment = {name: value for name, value in os.environ.items() if "NUM_THREADS" not in name}
        subprocess.run(list(map(str, command)), check=True, capture_output=True, cwd=out, env=environment)
        seconds, now = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime, seconds


def main() -> None:
    """Prints the table."""
    options = _arguments()
    model, images = options.model.resolve(), [path.resolve() for path in options.images]
    with tempfile.TemporaryDirectory() as folder:
        other = Path(folder) / "tree"
        subprocess.run(["git", "worktree", "add", "--detach", other, options.against], check=True, cwd=ROOT)
        try:
            _print_table(options, model, images, other)
        finally:
            shutil.rmtree(other)
            subprocess.run(["git", "worktree", "prune"], check=True, cwd=ROOT)


def _print_table(options: argparse.Namespace, model: Path, images: list[Path], other: Path) -> None:
    kinds = {
        options.against: (other, ()),
        "this tree": (ROOT, ()),
        "this tree, --no-pictures": (ROOT, ("--no-pictures",)),
    }
    found: dict[str, list[tuple[float, ...]]] = {name: [] for name in kinds}
    for _ in range(options.repeats):
        for name, (tree, flags) in kinds.items():
            (first, _), (cpu, seconds) = (run(tree, model, part, *flags) for part in (images[:1], images))
            found[name].append((cpu, seconds, first, (cpu - first) / (len(images) - 1)))
    medians = {
        name: [statistics.median(column) for column in zip(*runs, strict=True)]
        for name, runs in found.items()
    }
    base = medians[options.against]
    print(f"{len(images)} images, medians of {options.repeats} runs in turn\n")
    print(f"| tree | CPU, {len(images)} images | time | CPU, 1 image | CPU of a further image | ratios |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, values in medians.items():
        cpu, seconds, first, further = values
        ratios = ", ".join(f"{before / now:.1f}" for before, now in zip(base, values, strict=True))
        print(
            f"| {name} | {cpu:.2f} s | {seconds:.2f} s | {first:.2f} s | {further * 1e3:.1f} ms | {ratios} |"
        )


if __name__ == "__main__":
    main()
