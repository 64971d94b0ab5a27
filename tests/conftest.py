"""Shared fixtures: real files, the real command line, and the reference values."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import pytest
from filelock import FileLock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

SHARED = Path(__file__).resolve().parents[2] / "shared"


SLOWEST_FIRST = ("test_registry", "test_export", "test_resume", "test_distributed", "test_cli", "test_kinds")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slowest files first, so that no process is left with one of them at the end."""
    rank = {name: place for place, name in enumerate(SLOWEST_FIRST)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(rank)))


def _shared(part: str) -> Path:
    path = SHARED / part
    if not path.is_dir():
        message = f"{part}/ with the reference material is not beside this checkout: NOT CHECKED"
        warnings.warn(message, stacklevel=2)
        pytest.skip(message)
    return path


@pytest.fixture(scope="session")
def reference() -> Path:
    """The folder of the reference values, which belongs to the repository: a missing file is a failure."""
    return Path(__file__).parent / "reference"


@pytest.fixture(scope="session")
def busi_raw() -> Path:
    return _shared("data") / "busi"


@pytest.fixture(scope="session")
def drishti_raw() -> Path:
    return _shared("data/drishti")


@pytest.fixture(scope="session")
def origa_raw() -> Path:
    return _shared("data/origa")


@pytest.fixture(scope="session")
def isic_raw() -> Path:
    return _shared("data/isic2017")


@pytest.fixture(scope="session")
def start_uml_tf():
    """Starts the installed command in a process of its own; answers the process."""
    executable = Path(sys.executable).parent / "uml-tf"

    def start(*arguments: object, cwd: Path) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(executable), *map(str, arguments)],
            cwd=cwd,
            env={k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


@pytest.fixture(scope="session")
def uml_tf_command(start_uml_tf):
    """Runs the installed command in a process of its own; answers the completed process."""

    def run(*arguments: object, cwd: Path, expect: int = 0) -> subprocess.CompletedProcess[str]:
        process = start_uml_tf(*arguments, cwd=cwd)
        output, errors = process.communicate(timeout=900)
        assert process.returncode == expect, f"exit {process.returncode}\n{output}\n{errors}"
        assert "Traceback" not in errors
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    return run


@pytest.fixture(scope="session")
def train_until(start_uml_tf):
    """Trains, does something when a line of standard error matches; answers (exit code, standard error)."""

    def run(
        pattern: str, then: Callable[[subprocess.Popen[str]], object], cwd: Path, *arguments: object
    ) -> tuple[int, str]:
        process = start_uml_tf("train", *arguments, cwd=cwd)
        lines = []
        for line in process.stderr:
            lines.append(line)
            if re.match(pattern, line):
                then(process)
                break
        _, rest = process.communicate(timeout=600)
        errors = "".join(lines) + rest
        assert "Traceback" not in errors
        return process.returncode, errors

    return run


@contextmanager
def _once(tmp_path_factory, name):
    """Yields (folder, file): the folder that all test processes share, the file missing for the first."""
    folder = tmp_path_factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        folder = folder.parent
    with FileLock(folder / f"{name}.lock"):
        (folder / name).mkdir(exist_ok=True)
        yield folder / name, folder / f"{name}.done"


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory):
    """A small prepared data set."""
    from uml_tf.data.converters.phantom import PhantomOptions, generate_phantoms
    from uml_tf.data.dataset import PreparedDataset

    with _once(tmp_path_factory, "phantoms") as (folder, done):
        if not done.exists():
            generate_phantoms(folder / "set", PhantomOptions(images=60, seed=3, size=96))
            done.touch()
        return PreparedDataset.open(folder / "set")


TINY_CONFIG = """\
epochs: 2
image_size: 64
seed: 5
"""


@pytest.fixture(scope="session")
def trained(tmp_path_factory, phantoms, uml_tf_command):
    """A working folder in which ``uml-tf train`` ran for real: (folder, completed process)."""
    with _once(tmp_path_factory, "work") as (folder, done):
        if not done.exists():
            (folder / "tiny.yaml").write_text(TINY_CONFIG)
            process = uml_tf_command("train", "--config", "tiny.yaml", "--data", phantoms.root, cwd=folder)
            done.write_text(json.dumps([process.args, process.returncode, process.stdout, process.stderr]))
        return folder, subprocess.CompletedProcess(*json.loads(done.read_text()))
