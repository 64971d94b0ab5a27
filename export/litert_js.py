"""LiteRT.js, LiteRT for browsers: fetched once by npm, checked, and kept in the user's cache."""

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

VERSION = "2.5.3"
# Two of its builds: for browsers with relaxed SIMD instructions, and for those without.
_BUILDS = ("litert_wasm_internal", "litert_wasm_compat_internal")
_NOTICE = f"""LiteRT.js {VERSION} (npm packages @litertjs/core and @litertjs/wasm-utils), unchanged.
Copyright Google LLC. Licensed under the Apache License, Version 2.0:
https://www.apache.org/licenses/LICENSE-2.0
Source: https://github.com/google-ai-edge/LiteRT
"""


@dataclass(frozen=True)
class _Package:
    """An npm package: the SHA-512 of its archive, and the files taken from it, old name -> new name."""

    name: str
    sha512: str
    files: dict[str, str]


_PACKAGES = (
    _Package(
        "@litertjs/core",
        "PlGmbMOq9WitX7FO0jhbdJw9GthatsyuCQXjTt/wJZo0FLaw48q4tz8IwqgqCIkviYGr9OFDL1kCnN4nzWoyJQ==",
        {"package/dist/index.js": "index.js"}
        | {f"package/wasm/{build}.{end}": f"{build}.{end}" for build in _BUILDS for end in ("js", "wasm")},
    ),
    _Package(
        "@litertjs/wasm-utils",
        "4fJiw6tBQnIs+0jH/OQ16nYOiSl8/+zZnn5h2ul8aTKHi05sVqZW580Tmk78pC2kT39A9OYBVdFawteZ/sI1kQ==",
        {"package/dist/index.js": "wasm-utils.js"},
    ),
)


def _cache() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "uml-tf" / f"litertjs-{VERSION}"


def _archive(package: _Package, folder: Path) -> Path:
    npm = shutil.which("npm")
    wanted = f"{package.name}@{VERSION}"
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


def litert_js() -> Path:
    """The folder with the files of LiteRT.js that the page loads; they are fetched at the first call.

    Raises:
        UmlError: it is not in the cache and cannot be fetched, or its SHA-512 is not the expected one.
    """
    cache = _cache()
    if cache.is_dir():
        return cache
    with new_folder(cache) as folder, tempfile.TemporaryDirectory() as temporary:
        for package in _PACKAGES:
            with tarfile.open(_archive(package, Path(temporary))) as archive:
                for name, target in package.files.items():
                    content = archive.extractfile(name)
                    assert content is not None
                    (folder / target).write_bytes(content.read())
        (folder / "NOTICE").write_text(_NOTICE, encoding="utf-8")
    return cache
