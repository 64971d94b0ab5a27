"""A copy of the package with one file more: a worked example of docs/extending.md."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

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
