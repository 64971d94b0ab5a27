"""A disk that fills up in the middle of a training."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own, large enough to begin with."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=100m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        message = "no right to mount a small file system here: a full disk is NOT CHECKED"
        warnings.warn(message, stacklevel=2)
        pytest.skip(message)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def _fill(folder):
    with (folder / "filler").open("wb") as file:
        try:
            while True:
                file.write(b"x" * 2**16)
                file.flush()
        except OSError:
            return


def test_a_full_disk_ends_in_one_line_and_training_goes_on_after_it(small_disk, phantoms, uml_tf_command):
    (small_disk / "tiny.yaml").write_text("epochs: 3\nimage_size: 64\n")
    training = subprocess.Popen(
        [
            str(Path(sys.executable).parent / "uml-tf"),
            *("train", "--config", "tiny.yaml", "--data", str(phantoms.root)),
        ],
        cwd=small_disk,
        env={k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in training.stderr:
        if re.match(r"epoch +1/3", line):
            _fill(small_disk)
            break
    _, errors = training.communicate(timeout=600)
    assert training.returncode == 1, errors
    assert "Traceback" not in errors
    assert re.search(r"^uml-tf: .*(No space left on device|disk is full)", errors, re.M)
    (small_disk / "filler").unlink()
    done = uml_tf_command("train", "--resume", "last", cwd=small_disk)
    assert re.search(r"^epoch +3/3", done.stderr, re.M)
    assert re.search(r"^model +\S+model\.keras$", done.stdout, re.M)
