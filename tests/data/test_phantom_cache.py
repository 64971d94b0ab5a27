from __future__ import annotations

import subprocess
import sys

import pytest

from uml_tf.data.converters.phantom import PhantomOptions
from uml_tf.data.phantom_cache import cached_phantoms
from uml_tf.runtime.errors import UmlError

PROGRAM = """
import sys
from pathlib import Path
from uml_tf.data.converters.phantom import PhantomOptions
from uml_tf.data.phantom_cache import cached_phantoms
print("ready", flush=True)
sys.stdin.readline()
drawn = []
dataset = cached_phantoms(Path(sys.argv[1]), PhantomOptions(images=60, size=96), drawn.append)
print(len(drawn), dataset.fingerprint)
"""


def test_of_processes_that_ask_at_once_one_draws_and_all_open(tmp_path):
    folder = tmp_path / "phantoms/60-96-seed0"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:  # all at once: imports are done
        process.stdin.write("go\n")
        process.stdin.flush()
    ended = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], ended
    drawn, fingerprints = zip(*(output.split() for output, _ in ended), strict=True)
    assert sorted(drawn) == ["0", "0", "60"]
    assert len(set(fingerprints)) == 1
    assert sorted(path.name for path in folder.parent.iterdir()) == [".60-96-seed0.lock", "60-96-seed0"]


def test_drawn_phantoms_are_opened_without_writing(tmp_path):
    options = PhantomOptions(images=10, size=64)
    first = cached_phantoms(tmp_path / "x", options)
    (tmp_path / ".x.lock").unlink()
    assert cached_phantoms(tmp_path / "x", options).rows == first.rows
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_place_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UmlError, match="cannot be written"):
        cached_phantoms(tmp_path / "file/x", PhantomOptions(images=10, size=64))
