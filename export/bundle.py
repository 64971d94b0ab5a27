"""The device bundle: the exported network with everything that runs it, in one folder."""

from __future__ import annotations

import hashlib
import marshal
import struct
import zipfile
from importlib.metadata import version
from importlib.resources import files
from importlib.util import MAGIC_NUMBER, source_hash
from pathlib import Path

import uml_tf.runtime
from uml_tf.export.page import write_page
from uml_tf.runtime.files import write_json
from uml_tf.runtime.images import read_image, write_png
from uml_tf.runtime.metadata import FileMetadata

RUNTIME = "uml_tf_runtime.zip"
EXAMPLE = "example.png"
MANIFEST = "manifest.json"
"""SHA-256 of every other file of the bundle, by its path in the bundle."""

REQUIRED = ("ai-edge-litert", "numpy", "opencv-python-headless")
# A zip entry must have a time; with a fixed one, the same runtime always gives the same file.
_TIME = (1980, 1, 1, 0, 0, 0)
_HASH_NOT_COMPARED = 1
# Later versions of the form refer to objects by what else the process holds, and so differ from run to run.
_WITHOUT_REFERENCES = 2

_PACKAGE = b'"""uml-tf on a device: only the runtime is here."""\n'


def _readme(metadata: FileMetadata, web: bool) -> str:
    height, width = metadata.image_size
    page = (
        "In a browser: `python -m http.server` in this folder, then open http://localhost:8000/web/"
        if web
        else "This bundle has no page for the browser."
    )
    roi = metadata.card.roi
    reads = f"the part around the {roi.name} that locator.tflite finds" if roi else "images"
    return f"""# {metadata.preset} network, {metadata.quantize}, for {metadata.card.dataset or "unnamed data"}

Set up: `python -m venv env && env/bin/pip install -r requirements.txt`
Run: `env/bin/python run.py example.png`, or any images. Every file here is first compared with manifest.json.
For each image the folder predictions/ gets JSON, mask, overlay and maps of uncertainty and doubt, for a
folder also a table and index.html. `run.py --watch DIR --out OUT` predicts images as they land in DIR.
Counts by day, without images or names, go to predictions-tally/ for `uml-tf monitor` (--no-tally: none).
{page}
The decision is accept, refer (to a specialist) or ungradable (take another image), each with its reason.
How closely the file follows the trained network: fidelity.md. It reads {reads} as {width} x {height} RGB.
{metadata.intended_use}
Training run {metadata.card.run_id or "unknown"}; uml-tf {metadata.versions["uml-tf"]}.
"""


def _write_runtime(path: Path) -> None:
    """Packs ``uml_tf.runtime``; nothing else of the package ``uml_tf`` is on a device.

    Beside each source lies its code, compiled by this Python. A device with the same version of Python loads
    that, since nothing else keeps what is compiled from an archive; another version compiles the source.
    """
    package = Path(uml_tf.runtime.__file__).parent
    sources = {"__init__.py": _PACKAGE}
    sources |= {f"runtime/{source.name}": source.read_bytes() for source in sorted(package.glob("*.py"))}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, source in sources.items():
            for entry, content in ((name, source), (f"{name}c", _compiled(name, source))):
                archive.writestr(zipfile.ZipInfo(f"uml_tf/{entry}", _TIME), content, zipfile.ZIP_DEFLATED)


def _compiled(name: str, source: bytes) -> bytes:
    """The content of a ``.pyc`` file by the source's hash (PEP 552), which is not compared on loading."""
    code = compile(source, f"uml_tf/{name}", "exec", dont_inherit=True, optimize=0)
    header = MAGIC_NUMBER + struct.pack("<L", _HASH_NOT_COMPARED) + source_hash(source)
    return header + marshal.dumps(code, _WITHOUT_REFERENCES)


def write_bundle(folder: Path, metadata: FileMetadata, example: Path, web: bool) -> None:
    """Adds the runtime, ``run.py``, requirements, README, example and page to an exported model.

    Args:
        folder: where the models lie, ``model.tflite`` among them.
        metadata: of the model.
        example: an image; written as PNG under another name, so that no metadata of it are passed on.
        web: with the page for the browser.

    Raises:
        UmlError: the image cannot be read, or a library of the page cannot be fetched.
    """
    _write_runtime(folder / RUNTIME)
    (folder / "run.py").write_bytes(files("uml_tf.export").joinpath("device_run.py").read_bytes())
    requirements = "".join(f"{name}=={version(name)}\n" for name in REQUIRED)
    (folder / "requirements.txt").write_text(requirements, encoding="utf-8")
    (folder / "README.md").write_text(_readme(metadata, web), encoding="utf-8")
    write_png(folder / EXAMPLE, read_image(example))
    if web:
        write_page(folder, metadata)


def write_manifest(folder: Path) -> None:
    """Writes ``manifest.json``: the SHA-256 of every file in the folder, which ``run.py`` checks.

    Args:
        folder: a complete bundle; a file that is added later is not checked.
    """
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
    digests = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths
    }
    write_json(folder / MANIFEST, {"sha256": digests})
