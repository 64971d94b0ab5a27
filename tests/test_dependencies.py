"""Every package that the code imports is declared in pyproject.toml."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Packages that are not installed on every machine.
KNOWN = {"cuda": "cuda-python", "keras_hub": "keras-hub", "tensorrt": "tensorrt"}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _imported(*folders: str, nodes=ast.walk) -> set[str]:
    """Top-level names of what the files import; by default at any level of indentation."""
    found = set()
    for folder in folders:
        for path in (ROOT / folder).rglob("*.py"):
            for node in nodes(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    found |= {alias.name.partition(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.level == 0:
                    found.add(node.module.partition(".")[0])
    own = {path.stem for path in (ROOT / "tests").rglob("*.py")} | {"uml_tf"}
    return found - set(sys.stdlib_module_names) - own


def _declared(*extras: str) -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    entries = list(project["dependencies"])
    for extra in extras:
        entries += project["optional-dependencies"][extra]
    return {_normal(re.match(r"[\w.-]+", entry)[0]) for entry in entries}


def _missing(imported: set[str], declared: set[str]) -> dict[str, list[str]]:
    owners = {**packages_distributions(), **{name: [package] for name, package in KNOWN.items()}}
    # A name that no package provides is a module that a test writes for itself.
    used = {name: owners[name] for name in imported if name in owners}
    return {name: found for name, found in used.items() if not declared & set(map(_normal, found))}


@pytest.mark.parametrize(
    ("folders", "extras"),
    [
        (("uml_tf", "cli", "export"), ("dask", "dicom", "keras-hub", "onnx", "sbom", "tensorrt")),
        (("tests",), ("dask", "dicom", "keras-hub", "onnx", "test")),
    ],
)
def test_every_imported_package_is_declared(folders, extras):
    assert _missing(_imported(*folders), _declared(*extras)) == {}


def test_commands_start_without_any_extra():
    at_once = _imported("uml_tf", "cli", "export", nodes=ast.iter_child_nodes)
    assert _missing(at_once - {"onnx", "onnxruntime"}, _declared()) == {}  # these only by their own module


def test_onnx_is_imported_by_its_own_module_only():
    for path in (ROOT / "export").rglob("*.py"):
        imports = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Import)]
        names = {alias.name for node in imports for alias in node.names}
        assert path.name == "onnx.py" or not names & {"onnx", "onnxruntime", "tf2onnx"}, path
