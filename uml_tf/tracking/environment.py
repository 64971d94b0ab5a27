"""The environment of a run: versions, git commit, machine."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version

import tensorflow as tf

from uml_tf.tracking.commit import git_commit

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
