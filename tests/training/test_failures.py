"""A disk that fills up, and a file that vanishes, in the middle of a training."""

from __future__ import annotations

import re
import shutil
import subprocess
import warnings

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


def test_training_goes_on_after_a_full_disk_and_a_vanished_file(
    small_disk, phantoms, train_until, uml_tf_command
):
    data = shutil.copytree(phantoms.root, small_disk / "data")
    (small_disk / "tiny.yaml").write_text("epochs: 3\nimage_size: 64\n")
    arguments = ("--config", "tiny.yaml", "--data", data)
    status, errors = train_until(r"epoch +1/3", lambda _: _fill(small_disk), small_disk, *arguments)
    assert status == 1, errors
    assert re.search(r"^uml-tf: .*(No space left on device|disk is full)", errors, re.M)
    (small_disk / "filler").unlink()

    image = data / next(row.image for row in phantoms.rows if row.split == "test")
    content = image.read_bytes()
    status, errors = train_until(r"epoch +\d/3", lambda _: image.unlink(), small_disk, "--resume", "last")
    assert status == 1, errors
    assert re.search(rf"^uml-tf: {image}: no such file", errors, re.M)

    image.write_bytes(content)
    done = uml_tf_command("train", "--resume", "last", cwd=small_disk)
    assert "epoch" not in done.stderr.replace("epochs", "")
    assert re.search(r"^model +\S+model\.keras$", done.stdout, re.M)
