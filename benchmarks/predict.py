"""Reading images with a device bundle: ``run.py`` of this tree against that of another commit, in turn.

Run: ``python benchmarks/predict.py MODEL.tflite IMAGE... --against COMMIT [--repeats 5]``. Every run is a new
process. CPU time is user and system time of the process; what an image adds is the difference between a run
over all images and a run over the first, divided by the images between. The model must be of a format that
the other commit reads too: let that commit export it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy
from other_commit import ROOT, run_timed, tree_of

_NOT_A_DEVICES = {
    *("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "OPENCV_FOR_THREADS_NUM", "TF_NUM_INTRAOP_THREADS"),
    "PYTHONDONTWRITEBYTECODE",  # an installed package has its compiled files
}
_PACKAGES = Path(numpy.__file__).parents[1]
_AS_ON_A_DEVICE = ["-S"]  # without what a developer's environment runs at every start: editable installs

PACK = """
import hashlib, json, shutil, sys, types
from pathlib import Path
tree, folder, model = map(Path, sys.argv[1:])
sys.path.insert(0, str(tree))
export = sys.modules["uml_tf.export"] = types.ModuleType("uml_tf.export")
export.__path__ = [str(tree / "export")]
from uml_tf.export.bundle import RUNTIME, _write_runtime
_write_runtime(folder / RUNTIME)
shutil.copy(tree / "export/device_run.py", folder / "run.py")
shutil.copy(model, folder / "model.tflite")
digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
(folder / "manifest.json").write_text(json.dumps({"sha256": digests}))
"""
"""Makes the bundle of a tree; without a page, whose files ``run.py`` compares too."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("images", type=Path, nargs="+")
    parser.add_argument("--against", required=True, metavar="COMMIT")
    parser.add_argument("--repeats", type=int, default=5)
    return parser.parse_args()


def bundle(tree: Path, folder: Path, model: Path) -> Path:
    """Packs a tree's runtime; the path of its ``run.py``."""
    folder.mkdir()
    subprocess.run([sys.executable, "-c", PACK, tree, folder, model], check=True)
    return folder / "run.py"


def run(program: Path, images: list[Path], *options: str) -> tuple[float, float]:
    """Reads images in a new process and folder: (CPU seconds, seconds)."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, *_AS_ON_A_DEVICE, program, *images, "--out", Path(out) / "new", *options]
        environment = {name: value for name, value in os.environ.items() if name not in _NOT_A_DEVICES}
        environment["PYTHONPATH"] = str(_PACKAGES)
        return run_timed(command, Path(out), environment)


def main() -> None:
    """Prints the table."""
    options = _arguments()
    model, images = options.model.resolve(), [path.resolve() for path in options.images]
    with tempfile.TemporaryDirectory() as folder, tree_of(options.against) as other:
        programs = [
            bundle(tree, Path(folder) / name, model) for name, tree in (("old", other), ("new", ROOT))
        ]
        _print_table(options, images, *programs)


def _print_table(options: argparse.Namespace, images: list[Path], old: Path, new: Path) -> None:
    kinds: dict[str, tuple[Path, tuple[str, ...]]] = {
        options.against: (old, ()),
        "this tree": (new, ()),
        "this tree, --no-pictures": (new, ("--no-pictures",)),
    }
    found: dict[str, list[tuple[float, ...]]] = {name: [] for name in kinds}
    for _ in range(options.repeats):
        for name, (program, flags) in kinds.items():
            (first, _), (cpu, seconds) = (run(program, part, *flags) for part in (images[:1], images))
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
