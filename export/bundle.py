"""The device bundle: the exported network with everything that runs it, in one folder."""

from __future__ import annotations

import shutil
import zipfile
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

from uml_tf.export.litert_js import litert_js

import uml_tf.runtime
from uml_tf.runtime.images import read_image, write_png
from uml_tf.runtime.metadata import FileMetadata

RUNTIME = "uml_tf_runtime.zip"
EXAMPLE = "example.png"
WEB = "web"

_REQUIRED = ("ai-edge-litert", "numpy", "opencv-python-headless")
# A zip entry must have a time; a fixed one makes equal runtimes equal files.
_TIME = (1980, 1, 1, 0, 0, 0)

_PACKAGE = b'"""uml-tf on a device: only the runtime is here."""\n'

_RUN = '''"""Reads images with the exported network: python run.py IMAGE..."""

import sys
from pathlib import Path

here = Path(__file__).resolve().parent
sys.path.insert(0, str(here / "uml_tf_runtime.zip"))

from uml_tf.runtime.main import main  # noqa: E402

sys.exit(main(here / "model.tflite"))
'''


def _readme(metadata: FileMetadata, web: bool) -> str:
    height, width = metadata.image_size
    page = (
        "In a browser: `python -m http.server` in this folder, then open http://localhost:8000/web/"
        if web
        else "This bundle has no page for the browser."
    )
    return f"""# {metadata.preset} network, {metadata.quantize}, for {metadata.card.dataset or "unnamed data"}

Set up: `python -m venv env && env/bin/pip install -r requirements.txt`
Run: `env/bin/python run.py example.png`, or any images.
The folder answers/ then has JSON, mask, overlay and uncertainty map of each.
{page}
The decision is accept, refer (to a specialist) or ungradable (take another image), each with its reason.
How faithful the file is to the trained network: fidelity.md. It reads images as {width} x {height} RGB.
{metadata.intended_use}
Training run {metadata.card.run_id or "unknown"}; uml-tf {metadata.versions["uml-tf"]}.
"""


def _write_runtime(path: Path) -> None:
    """Packs ``uml_tf.runtime``; the package around it is empty on a device."""
    package = Path(uml_tf.runtime.__file__).parent
    sources = {"__init__.py": _PACKAGE}
    sources |= {f"runtime/{source.name}": source.read_bytes() for source in sorted(package.glob("*.py"))}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sources.items():
            archive.writestr(zipfile.ZipInfo(f"uml_tf/{name}", _TIME), content, zipfile.ZIP_DEFLATED)


def page_possible(metadata: FileMetadata, batch: int) -> bool:
    """Whether a browser can run the file as it is: one image in, the contract out."""
    return metadata.outputs == "contract" and batch == 1


def _write_page(folder: Path) -> None:
    folder.mkdir()
    for source in files("uml_tf.export").joinpath("web").iterdir():
        (folder / source.name).write_bytes(source.read_bytes())
    shutil.copytree(litert_js(), folder / "litert")


def write_bundle(folder: Path, metadata: FileMetadata, example: Path, web: bool) -> None:
    """Adds the runtime, ``run.py``, requirements, README, example and page to an exported model.

    Args:
        folder: where ``model.tflite`` lies.
        metadata: of the model.
        example: an image; written as PNG under another name, so that nothing else of it is passed on.
        web: with the page for the browser.

    Raises:
        UmlError: the image cannot be read, or LiteRT.js cannot be had.
    """
    _write_runtime(folder / RUNTIME)
    (folder / "run.py").write_text(_RUN, encoding="utf-8")
    requirements = "".join(f"{name}=={version(name)}\n" for name in _REQUIRED)
    (folder / "requirements.txt").write_text(requirements, encoding="utf-8")
    (folder / "README.md").write_text(_readme(metadata, web), encoding="utf-8")
    write_png(folder / EXAMPLE, read_image(example))
    if web:
        _write_page(folder / WEB)
