"""Shared fixtures: real files, the real command line, and the reference values."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from filelock import FileLock
from forked_commands import own_environment, start_command

from uml_tf.networks.long_lived import collect_seldom

collect_seldom()
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")  # tests compile longer than they run
if "PYTEST_XDIST_WORKER" not in os.environ:  # one folder for all test processes, and none of the user's
    os.environ["UML_TF_CACHE"] = tempfile.mkdtemp(prefix="uml-tf-cache-")

pytest_plugins = ["slowest_first", "reference_material"]


def pytest_unconfigure() -> None:
    """Removes the decoded images that the tests kept."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        shutil.rmtree(os.environ["UML_TF_CACHE"], ignore_errors=True)


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Repeats at the very end what was skipped for want of something on this machine."""
    reasons = [report.longrepr[2] for report in terminalreporter.stats.get("skipped", [])]
    for line in sorted({reason.removeprefix("Skipped: ") for reason in reasons if "NOT CHECKED" in reason}):
        terminalreporter.write_line(line, yellow=True, bold=True)


@pytest.fixture(scope="session")
def start_uml_tf():
    """Starts ``uml-tf`` in a process of its own, see forked_commands.py; returns the process."""
    return start_command


@pytest.fixture(autouse=True)
def _no_tracking_uri_of_another_test(monkeypatch):
    """MLflow writes the store that a test sets into the environment, where the next test would find it."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture(scope="session")
def run_python():
    """Runs Python with some arguments in a process of its own; returns (standard output, standard error)."""

    def run(*arguments: object, cwd: Path, **variables: str) -> tuple[str, str]:
        done = subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=cwd,
            env=own_environment() | variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout, done.stderr

    return run


@pytest.fixture(scope="session")
def uml_tf_command(start_uml_tf):
    """Runs ``uml-tf`` in a process of its own, see forked_commands.py; returns the completed process."""

    def run(
        *arguments: object, cwd: Path, expect: int = 0, fresh: bool = False
    ) -> subprocess.CompletedProcess[str]:
        process = start_uml_tf(*arguments, cwd=cwd, fresh=fresh)
        output, errors = process.communicate(timeout=900)
        assert process.returncode == expect, f"exit {process.returncode}\n{output}\n{errors}"
        assert "Traceback" not in errors
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    return run


@pytest.fixture
def run(capfd):
    """Runs ``uml-tf`` in this process, which is much faster; returns what it printed, errors included."""
    from uml_tf.cli.main import main

    def command(*arguments, expect=0):
        with pytest.raises(SystemExit) as ended:
            main.main([*map(str, arguments)], prog_name="uml-tf")
        printed = "".join(capfd.readouterr())
        assert (ended.value.code or 0) == expect, printed
        return printed

    return command


@pytest.fixture(scope="session")
def train_until(start_uml_tf):
    """Trains, calls a function when a line of standard error matches; returns (exit code, standard error)."""

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


@pytest.fixture(scope="session")
def small_disk(tmp_path_factory):
    """Mounts a file system of a given size, e.g. "60m"; skips the test where none may be mounted.

    With ``optional`` it returns None there.
    """
    mounted = []

    def mount(size: str, read_only: bool = False, optional: bool = False) -> Path | None:
        folder = tmp_path_factory.mktemp("disk")
        options = f"size={size}{',ro' if read_only else ''}"
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            if optional:
                return None
            message = "no right to mount a small file system here: a full disk is NOT CHECKED"
            warnings.warn(message, stacklevel=2)
            pytest.skip(message)
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def _once(tmp_path_factory, name):
    """Yields (folder, file): a folder that all test processes share; the first process makes the file."""
    folder = tmp_path_factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        folder = folder.parent
    with FileLock(folder / f"{name}.lock"):
        (folder / name).mkdir(exist_ok=True)
        yield folder / name, folder / f"{name}.done"


@pytest.fixture(scope="session")
def once(tmp_path_factory):
    """``_once`` of a name."""
    return partial(_once, tmp_path_factory)


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


@pytest.fixture(scope="session")
def oblong(tmp_path_factory, phantoms):
    """The phantoms, every second one 60 x 96 and the others 96 x 60 pixels."""
    import cv2

    from uml_tf.data.dataset import PreparedDataset
    from uml_tf.data.masks import read_mask
    from uml_tf.runtime.images import read_image, write_png

    folder = tmp_path_factory.mktemp("oblong")
    for name in ("dataset.yaml", "manifest.csv"):
        (folder / name).write_bytes((phantoms.root / name).read_bytes())
    for index, row in enumerate(phantoms.rows):
        part = (slice(18, 78), slice(None)) if index % 2 else (slice(None), slice(18, 78))
        for name in (row.image, row.mask):
            (folder / name).parent.mkdir(exist_ok=True)
        write_png(folder / row.image, read_image(phantoms.root / row.image)[part])
        cv2.imwrite(str(folder / row.mask), read_mask(phantoms.root / row.mask)[part])
    return PreparedDataset.open(folder)


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
            arguments = ("train", "--config", "tiny.yaml", "--data", phantoms.root)
            process = uml_tf_command(*arguments, cwd=folder, fresh=True)
            done.write_text(json.dumps([process.args, process.returncode, process.stdout, process.stderr]))
        return folder, subprocess.CompletedProcess(*json.loads(done.read_text()))


QUICK_CONFIG = f"""\
preset: unet-edge
encoder_weights: none
{TINY_CONFIG.replace("64", "32")}"""


@pytest.fixture(scope="session")
def trained_once(once, phantoms, uml_tf_command):
    """Trains on the phantoms by a config, once under a name; returns the working folder."""

    def train(name, config):
        with once(name) as (folder, done):
            if not done.exists():
                (folder / "quick.yaml").write_text(config)
                uml_tf_command("train", "--config", "quick.yaml", "--data", phantoms.root, cwd=folder)
                done.touch()
            return folder

    return train


@pytest.fixture(scope="session")
def trained_quickly(trained_once):
    """A working folder in which ``uml-tf train`` trained the quickest network to build."""
    return trained_once("quick", QUICK_CONFIG)


@pytest.fixture(scope="session")
def exported(once):
    """A random network as ``uml-tf export --tflite --quantize none`` writes it."""
    from small_networks import random_network

    from uml_tf.export.convert import convert
    from uml_tf.export.kinds import KINDS

    with once("exported") as (folder, done):
        if not done.exists():
            metadata, converted = convert(random_network(1), KINDS["tflite-none"])
            (folder / "model.tflite").write_bytes(converted.files[0].pack(metadata))
            done.touch()
        return folder / "model.tflite"
