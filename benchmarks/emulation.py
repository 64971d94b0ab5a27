"""64-bit ARM on another machine: Python and the bundle's packages for it, run by QEMU's user mode.

Needs Debian's apt with a source of packages, pip, no root, and about 280 MB in the user's cache. Emulation
shows that the packages run and what they compute, instruction by instruction; of their speed it says nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from platform import freedesktop_os_release

import cv2
import numpy as np

from uml_tf.runtime.device_model import DeviceModel
from uml_tf.runtime.prediction import Prediction

PROCESSORS = ("cortex-a72", "cortex-a76", "cortex-a710")
"""A Raspberry Pi 4's, a Raspberry Pi 5's, and a phone's of 2021. QEMU enforces what each of them lacks."""

_RELEASE = "trixie"  # its QEMU 10 shows LiteRT the named processor; that of bookworm shows it the host's
_PYTHON = "3.13"
_PLATFORMS = ("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux2014_aarch64")
_FORMAT = 1  # of the folder in the cache
_KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"


class CannotBeHadError(Exception):
    """The emulator or its packages cannot be fetched on this machine."""


def _run(command: Sequence[object], folder: Path) -> str:
    try:
        done = subprocess.run(
            [str(part) for part in command], cwd=folder, capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise CannotBeHadError(f"{command[0]}: {error}") from error
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise CannotBeHadError(f"{command[0]}: {lines[-1] if lines else f'exit code {done.returncode}'}")
    return done.stdout


def apt_mirror(folder: Path) -> str:
    """Address from which this machine's apt has its own release of Debian: the same place has the others.

    Args:
        folder: where apt runs.

    Raises:
        CannotBeHadError: apt is not there or has no such source.
    """
    own = freedesktop_os_release().get("VERSION_CODENAME", "")
    # Without what is known of a release once its lists have been fetched: they may not be there.
    listing = ["apt-get", "indextargets", "--no-release-info", "--format", "$(REPO_URI) $(RELEASE)"]
    for line in _run([*listing, "Created-By: Packages", "Component: main"], folder).splitlines():
        address, release = line.rsplit(maxsplit=1)
        if release == own:
            return address
    raise CannotBeHadError(
        f"apt's sources: found none of Debian {own or '(unnamed release)'} main, one is needed"
    )


def _apt_options(folder: Path, host: str) -> list[str]:
    """Options by which apt keeps to a folder, knows no installed package, and sees one release."""
    mirror = apt_mirror(folder.parent)
    for name in ("lists/partial", "archives/partial"):
        (folder / name).mkdir(parents=True)
    (folder / "status").touch()
    (folder / "sources").write_text(f"deb [signed-by={_KEYS}] {mirror} {_RELEASE} main\n")
    settings = {
        "APT::Architecture": "arm64",
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "",
        "Dir::State": folder,
        "Dir::State::lists": folder / "lists",
        "Dir::State::status": folder / "status",
        "Dir::Cache": folder,
        "Dir::Cache::archives": folder / "archives",
        "Dir::Etc::sourcelist": folder / "sources",
        "Dir::Etc::sourceparts": "-",
    }
    options = [f"-o{name}={value}" for name, value in settings.items()]
    return [*options, "-oAPT::Architectures::=arm64", f"-oAPT::Architectures::={host}"]


def _fetch_system(folder: Path, root: Path) -> Path:
    """Unpacks Python for ARM into ``root``; returns the emulator."""
    host = _run(["dpkg", "--print-architecture"], folder).strip()
    apt = folder / "apt"
    options = _apt_options(apt, host)
    _run(["apt-get", *options, "-qq", "update"], folder)
    packages = [f"python{_PYTHON}", "libstdc++6"]
    _run(["apt-get", *options, "-qq", "-y", "install", "--download-only", *packages], folder)
    _run(["apt-get", *options, "-qq", "download", f"qemu-user:{host}"], folder)
    (root / "usr/lib").mkdir(parents=True)
    (root / "lib").symlink_to("usr/lib")
    for package in sorted((apt / "archives").glob("*_arm64.deb")):
        _run(["dpkg-deb", "--extract", package, root], folder)
    (emulator,) = folder.glob(f"qemu-user_*_{host}.deb")
    _run(["dpkg-deb", "--extract", emulator, folder / "qemu"], folder)
    return folder / "qemu/usr/bin/qemu-aarch64"


def _fetch_packages(requirements: Path, root: Path, folder: Path) -> None:
    target = root / "usr/lib/python3/dist-packages"
    options = [
        "--quiet",
        "--no-compile",
        "--only-binary=:all:",
        "--python-version",
        _PYTHON,
        "--target",
        target,
    ]
    platforms = [part for name in _PLATFORMS for part in ("--platform", name)]
    _run([sys.executable, "-m", "pip", "install", *options, *platforms, "-r", requirements], folder)


@dataclass(frozen=True)
class EmulatedArm:
    """Python with the packages of a bundle, for 64-bit ARM.

    Attributes:
        folder: with the emulator and the system's files.
    """

    folder: Path

    def run(self, processor: str, arguments: Sequence[object], cwd: Path) -> subprocess.CompletedProcess[str]:
        """Runs ``python ARGUMENTS`` on one of ``PROCESSORS``.

        Args:
            processor: name of the processor as QEMU knows it.
            arguments: of Python.
            cwd: working folder.
        """
        root = self.folder / "root"
        command = [
            self.folder / "qemu-aarch64",
            "-cpu",
            processor,
            "-L",
            root,
            root / f"usr/bin/python{_PYTHON}",
        ]
        command = [str(part) for part in (*command, *arguments)]
        return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def emulated_arm(requirements: Path) -> EmulatedArm:
    """An emulated machine with the packages of a bundle; fetched at the first call, then in the user's cache.

    Args:
        requirements: the bundle's ``requirements.txt``.

    Raises:
        CannotBeHadError: apt, its source of Debian, dpkg or pip is not there, or cannot fetch what is needed.
    """
    parts = f"{_FORMAT} {_RELEASE} {_PYTHON} {requirements.read_text(encoding='utf-8')}"
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "uml-tf"
    cache = root / f"arm64-{hashlib.sha256(parts.encode()).hexdigest()[:12]}"
    if cache.is_dir():
        return EmulatedArm(cache)
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root) as name:
        folder = Path(name)
        emulator = _fetch_system(folder, folder / "made/root")
        shutil.move(emulator, folder / "made/qemu-aarch64")
        _fetch_packages(requirements, folder / "made/root", folder)
        (folder / "made").rename(cache)
    return EmulatedArm(cache)


@dataclass(frozen=True)
class Differences:
    """How predictions on an emulated processor differ from those of this machine.

    Attributes:
        images: number of images.
        probability, uncertainty: largest difference of a class probability, and of the class uncertainty.
        decisions, classes, masks: number of images where they differ.
    """

    images: int
    probability: float
    uncertainty: float
    decisions: int
    classes: int
    masks: int


def _differs(found: dict, mask: np.ndarray, own: Prediction) -> tuple[float, float, bool, bool, bool]:
    return (
        max(abs(found["class_probability"][name] - value) for name, value in own.class_probability.items()),
        abs(found["class_uncertainty"] - own.class_uncertainty),
        found["decision"] != own.decision.action,
        found["class"] != own.class_name,
        not np.array_equal(mask, own.mask),
    )


def differences(arm: EmulatedArm, processor: str, bundle: Path, images: Sequence[Path]) -> Differences:
    """Runs a bundle's ``run.py`` on an emulated processor and the same model here.

    Args:
        arm: with the bundle's packages.
        processor: one of ``PROCESSORS``.
        bundle: a device bundle.
        images: for both.

    Raises:
        RuntimeError: ``run.py`` failed.
    """
    model = DeviceModel(bundle / "model.tflite")
    with tempfile.TemporaryDirectory() as name:
        out = Path(name)
        paths = [path.resolve() for path in images]
        done = arm.run(processor, ["-I", bundle.resolve() / "run.py", *paths, "--out", out], out)
        if done.returncode:
            raise RuntimeError(f"{processor}: {done.stderr.strip()}")
        rows = []
        for path in paths:
            found = json.loads((out / f"{path.stem}.json").read_text(encoding="utf-8"))
            mask = cv2.imread(str(out / f"{path.stem}_mask.png"), cv2.IMREAD_UNCHANGED)
            rows.append(_differs(found, mask, model.predict(path)))
    probability, uncertainty, *flips = zip(*rows, strict=True)
    return Differences(len(rows), max(probability), max(uncertainty), *(sum(flip) for flip in flips))
