"""The environment of a run: versions, git commit, machine."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import tensorflow as tf

_PACKAGES = (
    "uml-tf",
    "tensorflow",
    "keras",
    "keras-cv",
    "tensorflow-probability",
    "numpy",
    "opencv-python-headless",
    "mlflow",
)


def git_commit() -> str:
    """The commit of this package's code, with "+changes" where tracked files were changed since.

    "unknown" where the package is not part of a checkout of its own, e.g. because it is installed in an
    environment inside another project's repository.
    """
    package = Path(__file__)

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(package.parent), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", package.name)
        commit = git("rev-parse", "HEAD")
        return commit + ("+changes" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[f"version.{name}"] = version(name)
        except PackageNotFoundError:
            continue
    return found


def environment() -> dict[str, str]:
    """Dotted name -> value, for MLflow's parameters."""
    gpus = [tf.config.experimental.get_device_details(gpu) for gpu in tf.config.list_physical_devices("GPU")]
    return {
        "git.commit": git_commit(),
        "machine.platform": platform.platform(),
        "machine.cpus": str(os.cpu_count()),
        "machine.gpus": ", ".join(gpu.get("device_name", "GPU") for gpu in gpus) or "none",
        "version.python": platform.python_version(),
        **_versions(),
    }
