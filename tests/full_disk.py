"""Run by test_full_disk.py in a process of its own: a training whose disk gets full again and again.

Prints a line for each moment at which the disk was filled: the moment, and the error that ended the training.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from uml_tf.runtime.errors import UmlError
from uml_tf.training.config import load_config
from uml_tf.training.display import SilentDisplay
from uml_tf.training.run import resume, train

FILLER = Path("filler")


def fill(leave=0):
    """Takes the whole disk but for some bytes."""
    with FILLER.open("ab", buffering=0) as file:
        size = os.statvfs(".").f_bavail * os.statvfs(".").f_frsize - leave
        os.posix_fallocate(file.fileno(), 0, max(size, 1))


class FillingDisplay(SilentDisplay):
    """Fills the disk when it is called at the given moment."""

    def __init__(self, moment, leave):
        self.moment, self.leave = moment, leave

    def _at(self, moment):
        if moment == self.moment:
            fill(self.leave)

    def stage(self, name, total):
        self._at(name)
        return lambda done: None

    def losses(self, epoch, step, terms):
        self._at(f"step {step} of epoch {epoch + 1}")

    def epoch(self, report):
        self._at(f"epoch {report.epoch + 1}")


def meet(moment, action, leave=0):
    """Trains on a disk that is filled at a moment, then frees the disk."""
    try:
        action(FillingDisplay(moment, leave))
        end = "finished"
    except UmlError as error:
        end = str(error)
    FILLER.unlink(missing_ok=True)
    print(f"{moment}, {leave} left: {end}", flush=True)


def main():
    tempfile.tempdir = str(Path.cwd())  # where MLflow makes its temporary files
    config = load_config(Path("quick.yaml"), {"data": sys.argv[1]})

    def start(display):
        train(config, display)

    def go_on(display):
        resume("last", display)

    fill(400_000)
    meet("new database", start)
    assert not Path("mlruns/mlflow.db").exists()
    meet("reading val", start)
    meet("step 1 of epoch 1", start)
    meet("epoch 1", go_on)
    meet("evaluating test", go_on, leave=4_000_000)
    meet("never", go_on)


main()
