"""Files of npm packages: fetched once by npm, checked, and kept in the user's cache."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.files import new_folder


@dataclass(frozen=True)
class NpmPackage:
    """An npm package.

    Attributes:
        name, version: as npm knows it.
        sha512: of its archive, in base64.
        files: what is taken from it, old name -> new name.
    """

    name: str
    version: str
    sha512: str
    files: dict[str, str]


@dataclass(frozen=True)
class NpmFiles:
    """Files of some packages in one folder.

    Attributes:
        name: of the folder.
        version: of the packages; a cached folder of another version is not used.
        packages: where the files come from.
        notice: origin and terms, written beside the files.
    """

    name: str
    version: str
    packages: tuple[NpmPackage, ...]
    notice: str

    def fetch(self) -> Path:
        """The folder with the files, which is in the cache after the first call.

        Raises:
            UmlError: it is not in the cache and cannot be fetched, or a SHA-512 is not the expected one.
        """
        root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        cache = Path(root) / "uml-tf" / f"{self.name}-{self.version}"
        if cache.is_dir():
            return cache
        with new_folder(cache) as folder, tempfile.TemporaryDirectory() as temporary:
            for package in self.packages:
                with tarfile.open(_archive(package, Path(temporary))) as archive:
                    for name, target in package.files.items():
                        content = archive.extractfile(name)
                        assert content is not None
                        (folder / target).write_bytes(content.read())
            (folder / "NOTICE").write_text(self.notice, encoding="utf-8")
        return cache


def _archive(package: NpmPackage, folder: Path) -> Path:
    npm = shutil.which("npm")
    wanted = f"{package.name}@{package.version}"
    if npm is None:
        raise UmlError(f"{wanted}: found no npm, expected Node.js with npm to fetch it")
    command = [npm, "pack", wanted, "--silent", "--pack-destination", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[0]
        raise UmlError(f"{wanted}: npm could not fetch it ({reason[:160]})")
    archive = folder / done.stdout.strip().splitlines()[-1]
    found = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if found != package.sha512:
        raise UmlError(f"{wanted}: sha512: found {found[:16]}..., expected {package.sha512[:16]}...")
    return archive
