"""A copy of the package with one file more: a worked example of docs/extending.md."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

ROOT = Path(__file__).resolve().parents[1]


def copy_with_example(folder, file):
    """Copies the package as it is installed, with the example of a file, and returns the folder to run in.

    Args:
        folder: an empty folder.
        file: path that the example states in its first line, e.g. "uml_tf/metrics/youden.py".
    """
    ignored = shutil.ignore_patterns("__pycache__", "cli", "export")
    shutil.copytree(ROOT / "uml_tf", folder / "uml_tf", ignore=ignored)
    for part in ("cli", "export"):
        shutil.copytree(ROOT / part, folder / "uml_tf" / part, ignore=shutil.ignore_patterns("__pycache__"))
    page = (ROOT / "docs/extending.md").read_text(encoding="utf-8")
    (example,) = re.findall(rf"```python\n(# {re.escape(file)}\n.*?)```", page, re.DOTALL)
    place = file if file.startswith("uml_tf/") else f"uml_tf/{file}"
    (folder / place).write_text(example, encoding="utf-8")
    return folder


# Imports once and runs each command, or each piece of code, in a copy of this process.
_RUN = """
import json, os, sys, tempfile
from uml_tf.cli.main import main
from uml_tf.cli.quiet import import_tensorflow
import_tensorflow()
import uml_tf.export.run, uml_tf.evaluation.evaluate

found = []
for what in json.load(sys.stdin):
    streams = [tempfile.TemporaryFile("w+"), tempfile.TemporaryFile("w+")]
    child = os.fork()
    if child == 0:
        for number, stream in enumerate(streams, 1):
            os.dup2(stream.fileno(), number)
        exec(what, {"__name__": "__main__"}) if isinstance(what, str) else main(what, prog_name="uml-tf")
        sys.exit()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    for stream in streams:
        stream.seek(0)
    found.append([status, *(stream.read() for stream in streams)])
print(json.dumps(found))
"""


def run_in_copy(package, *commands, cwd=None):
    """Runs commands of ``uml-tf``, or code, with a copied package, one after the other.

    Args:
        package: folder of ``copy_with_example``.
        commands: the arguments of a command each, or Python code as text.
        cwd: folder to run in, by default the package's.

    Returns:
        What each gave: ``returncode``, ``stdout`` and ``stderr``.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    what = [command if isinstance(command, str) else [*map(str, command)] for command in commands]
    done = subprocess.run(
        [sys.executable, "-c", _RUN],
        cwd=cwd or package,
        env=environment | {"PYTHONPATH": str(package)},
        input=json.dumps(what),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [
        SimpleNamespace(returncode=code, stdout=output, stderr=errors)
        for code, output, errors in json.loads(done.stdout)
    ]
