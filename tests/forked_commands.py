"""Processes of ``uml-tf`` and of scripts: copies, by fork, of one in which all is imported, or fresh ones.

A copy has its own working folder, environment, standard streams, signals and exit status, as a fresh process
has, and starts 8 s of processor time faster. What it does not show is what happens while modules are
imported, and another order of hashes.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import runpy
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Timer

_IMPORTED = (
    *("uml_tf.cli.train", "uml_tf.training.run", "uml_tf.evaluation.evaluate", "uml_tf.export.run"),
    *("mlflow.tracking", "mlflow.models", "mlflow.store.tracking.sqlalchemy_store", "matplotlib.pyplot"),
)
_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload([*_IMPORTED])


def own_environment() -> dict[str, str]:
    """The environment without the variables that MLflow has set in this process."""
    return {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}


def start_command(
    *arguments: object, cwd: Path, fresh: bool = False, **variables: str
) -> subprocess.Popen[str] | ForkedCommand:
    """Starts ``uml-tf``: as a copy, or with ``fresh`` as the installed program."""
    words, environment = [*map(str, arguments)], own_environment() | variables
    if not fresh:
        return ForkedCommand(words, cwd, environment)
    return subprocess.Popen(
        [str(Path(sys.executable).parent / "uml-tf"), *words],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def start_script(script: Path, *arguments: object, cwd: Path, **variables: str) -> ForkedCommand:
    """Starts a script of the tests as a copy, as ``python SCRIPT ARGUMENTS`` starts it as a fresh process."""
    return ForkedCommand([*map(str, arguments)], cwd, own_environment() | variables, script)


def _run(arguments, cwd, environment, streams, script):
    """Runs the command or script in this copy, and at its end what a process does at its end."""
    for number, stream in enumerate(streams, 1):
        os.dup2(stream.fileno(), number)
        stream.close()
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    own = (str(Path(__file__).parent), str(Path(__file__).parents[1] / "benchmarks"))
    sys.path[:] = [folder for folder in sys.path if not folder.startswith(own)]
    sys.argv = [str(script or "uml-tf"), *arguments]
    try:
        if script:
            sys.path.insert(0, str(script.parent))
            runpy.run_path(str(script), run_name="__main__")
        else:
            from uml_tf.cli.main import main

            main()
    finally:
        atexit._run_exitfuncs()


class ForkedCommand:
    """A running ``uml-tf`` or script, with the part of ``subprocess.Popen`` that the tests use."""

    def __init__(
        self, arguments: list[str], cwd: Path, environment: dict[str, str], script: Path | None = None
    ) -> None:
        self.args = [str(script or "uml-tf"), *arguments]
        (output, its_output), (errors, its_errors) = (_SERVER.Pipe(duplex=False) for _ in range(2))
        self._process = _SERVER.Process(
            target=_run, args=(arguments, str(cwd), environment, (its_output, its_errors), script)
        )
        self._process.start()
        its_output.close()
        its_errors.close()
        self.stdout, self.stderr = (os.fdopen(os.dup(end.fileno()), "r") for end in (output, errors))
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self._process.kill()

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Everything that the process still prints until it ends; kills it after ``timeout`` seconds."""
        limit = Timer(timeout or 3600, self.kill)
        limit.daemon = True
        limit.start()
        with ThreadPoolExecutor(2) as pool, self.stdout, self.stderr:
            output, errors = pool.map(lambda stream: stream.read(), (self.stdout, self.stderr))
        self.wait()
        if limit.finished.is_set():
            raise subprocess.TimeoutExpired(self.args, timeout or 3600)
        limit.cancel()
        return output, errors
