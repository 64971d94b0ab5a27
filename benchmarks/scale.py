"""Peak memory and CPU time of data of a growing number of images: drawing, checking, training.

Run: ``python benchmarks/scale.py --images 1000 10000``. Each command runs in a process of its own; its peak
memory is that of its largest process, its CPU time that of all. Training ends after a number of steps, whose
first is that of the first epoch's first report. ``--noise`` takes the images of ``reading.py``, all but one
to train on, which are written far sooner than phantoms are drawn. ``--keep FOLDER`` keeps the images
there, and makes none that are there already.
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

import reading

from uml_tf.training.config import parse_assignment

_TRAIN = """
import json, resource, sys, time
from pathlib import Path
from uml_tf.data.dataset import PreparedDataset
import uml_tf.training.run as run
from uml_tf.training.config import load_config
from uml_tf.training.display import SilentDisplay
times = []
class Ended(Exception): pass
class Watch(SilentDisplay):
    def losses(self, epoch, step, terms):
        times.append(time.process_time())
        if len(times) == STEPS: raise Ended
    def epoch(self, report):
        epochs.append(time.process_time())
        if len(epochs) == 2: raise Ended
root, STEPS, fields, epochs = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3]), []
config = load_config(None, {"data": root, "epochs": 3, **fields})
try: run.train(config, Watch())
except Ended: pass
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"steps": times, "epochs": epochs, "peak": peak}))
"""


_RUN = """
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, text=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(done.stdout, end="")
print(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
sys.exit(done.returncode)
"""


def command(*arguments: object, folder: Path) -> tuple[str, list[str]]:
    """What a command took, in words, and the lines of its standard output."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", _RUN, *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "UML_TF_CACHE": str(folder / "cache"), "TF_CPP_MIN_LOG_LEVEL": "3"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    *output, used = done.stdout.splitlines()
    cpu, peak = map(float, used.split())
    return f"{cpu:.0f} s of CPU, {time.perf_counter() - start:.0f} s, {peak:.0f} MB", output


def _train(data: Path, steps: int, fields: dict[str, object], folder: Path) -> str:
    """A training's first steps, or with 0 its first two epochs, in words."""
    _, output = command(sys.executable, "-c", _TRAIN, data, steps, json.dumps(fields), folder=folder)
    found = json.loads(output[-1])
    first, second, *_, last = found["steps"]
    text = f"first step after {first:.1f} s of CPU, "
    if epochs := found["epochs"]:
        taken = f"{epochs[0] - first:.1f} s, which fills the cache, and {epochs[1] - epochs[0]:.1f} s"
        text += f"epochs of {len(found['steps']) // 2} steps in {taken}"
    else:
        text += f"{1000 * (last - second) / (steps - 2):.0f} ms of CPU a step after it"
    return f"{text}, peak {found['peak']:.0f} MB"


def main() -> None:
    """Prints a row for each number of images."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, nargs="+", default=[1000, 10000])
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument(
        "--steps", type=int, default=40, help="Steps of training that are timed; 0: two epochs."
    )
    parser.add_argument("--set", dest="fields", action="append", default=[], metavar="FIELD=VALUE")
    parser.add_argument("--noise", action="store_true")
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    fields = {"batch_size": 16, "image_size": 64, "preset": "edge"}
    fields |= dict(parse_assignment(text) for text in options.fields)
    executable = Path(sys.executable).parent / "uml-tf"
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.keep or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        for count in options.images:
            data = folder / f"{'noise' if options.noise else 'phantoms'}-{count}-{options.size}"
            if data.is_dir():
                pass
            elif options.noise:
                reading.write(data, count, options.size)
            else:
                shape = ("--images", count, "--size", options.size)
                drawn, _ = command(executable, "data", "phantom", data, *shape, folder=folder)
                print(f"{count} images: drawn in {drawn}", flush=True)
            checked, _ = command(executable, "data", "check", data, folder=folder)
            print(f"{count} images: checked in {checked}", flush=True)
            for what in ("cache empty", "cache filled so far")[: 2 if options.steps else 1]:
                print(f"{count} images, {what}: {_train(data, options.steps, fields, folder)}", flush=True)


if __name__ == "__main__":
    main()
