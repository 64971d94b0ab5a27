"""Peak memory and time of data of a growing number of images: drawing, checking, training.

Run: ``python benchmarks/scale.py --images 1000 10000``. Each command runs in a process of its own; its peak
memory is that of its largest process, and the time to the first step that of the first epoch's first report.
``--keep FOLDER`` keeps the drawn images there, and draws none that are there already.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_TRAIN = """
import json, resource, sys, time
started = time.perf_counter()
from pathlib import Path
from uml_tf.data.dataset import PreparedDataset
import uml_tf.training.run as run
from uml_tf.training.config import load_config
from uml_tf.training.display import SilentDisplay
times = []
class Ended(Exception): pass
class Watch(SilentDisplay):
    def losses(self, epoch, step, terms):
        times.append((epoch, time.perf_counter() - started))
        if len(times) == STEPS: raise Ended
root, most = sys.argv[1], int(sys.argv[2])
STEPS = most
config = load_config(None, {"data": root, "epochs": 2, "batch_size": 16, "image_size": 64, "preset": "edge"})
try: run.train(config, Watch())
except Ended: pass
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"first": times[0][1], "steps": [t for _, t in times], "peak": peak}))
"""


def command(*arguments: object, folder: Path) -> tuple[float, float, str]:
    """(seconds, peak MB of the largest process, standard output) of a command."""
    start = time.perf_counter()
    program = (
        "import resource, subprocess, sys; "
        "done = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, text=True); "
        "print(done.stdout, end=''); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024); "
        "sys.exit(done.returncode)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "UML_TF_CACHE": str(folder / "cache"), "TF_CPP_MIN_LOG_LEVEL": "3"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    *output, peak = done.stdout.splitlines()
    return time.perf_counter() - start, float(peak), "\n".join(output)


def main() -> None:
    """Prints a row for each number of images."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, nargs="+", default=[1000, 10000])
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=40, help="Steps of training that are timed.")
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    executable = Path(sys.executable).parent / "uml-tf"
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.keep or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        for count in options.images:
            data = folder / f"phantoms-{count}-{options.size}"
            if not data.is_dir():
                drawn = command(
                    executable,
                    "data",
                    "phantom",
                    data,
                    "--images",
                    count,
                    "--size",
                    options.size,
                    folder=folder,
                )
                print(f"{count} images: drawn in {drawn[0]:.0f} s, {drawn[1]:.0f} MB", flush=True)
            checked = command(executable, "data", "check", data, folder=folder)
            print(f"{count} images: checked in {checked[0]:.0f} s, {checked[1]:.0f} MB", flush=True)
            for what in ("cache empty", "cache filled so far"):
                _, _, output = command(sys.executable, "-c", _TRAIN, data, options.steps, folder=folder)
                found = json.loads(output.splitlines()[-1])
                steps = found["steps"]
                rest = 1000 * (steps[-1] - steps[1]) / max(len(steps) - 2, 1)
                print(
                    f"{count} images, {what}: first step after {found['first']:.0f} s, "
                    f"{rest:.0f} ms a step after it, peak {found['peak']:.0f} MB",
                    flush=True,
                )


if __name__ == "__main__":
    main()
