"""The software bill of materials of a device bundle, in CycloneDX: what is in it, and what it installs."""

from __future__ import annotations

import hashlib
import importlib.util
import re
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import NAMESPACE_URL, uuid5

from uml_tf.export.page_libraries import PAGE_LIBRARIES
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.files import write_text
from uml_tf.runtime.metadata import FileMetadata
from uml_tf.runtime.version import VERSION

if TYPE_CHECKING:
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component

SBOM = "sbom.cdx.json"


def check_sbom_possible() -> None:
    """Refuses where the library that writes it is missing.

    Raises:
        UmlError: it is not installed.
    """
    if importlib.util.find_spec("cyclonedx") is None:
        raise UmlError("--sbom: needs cyclonedx-python-lib; pip install 'uml-tf[sbom]'")


def installed_with(names: Iterable[str]) -> dict[str, list[str]]:
    """Package -> the packages that it needs itself, of some packages and of all that they need.

    Args:
        names: packages that are installed here. A package that is needed on other systems alone is left out.
    """
    from packaging.requirements import Requirement

    found: dict[str, list[str]] = {}
    left = list(names)
    while left:
        name = left.pop()
        if name in found:
            continue
        needs = [Requirement(text) for text in distribution(name).requires or ()]
        needs = [one for one in needs if one.marker is None or one.marker.evaluate({"extra": ""})]
        found[name] = [_normal(one.name) for one in needs if _is_installed(one.name)]
        left += found[name]
    return found


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _is_installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def _python(name: str) -> Component:
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.model.license import DisjunctiveLicense
    from packageurl import PackageURL

    found = distribution(name)
    known = found.metadata.json
    stated = str(known.get("license_expression") or known.get("license") or "")
    licence = [DisjunctiveLicense(name=stated)] if stated and "\n" not in stated else []
    return Component(
        name=name,
        version=found.version,
        type=ComponentType.LIBRARY,
        bom_ref=f"pkg:pypi/{name}@{found.version}",
        purl=PackageURL("pypi", None, name, found.version),
        licenses=licence,
    )


def _npm() -> list[Component]:
    """The libraries of the page."""
    from cyclonedx.model.component import Component, ComponentType
    from packageurl import PackageURL

    found = []
    for package in (one for library in PAGE_LIBRARIES for one in library.packages):
        group, _, name = package.name.rpartition("/")
        url = PackageURL("npm", group or None, name, package.version)
        found.append(
            Component(
                name=name,
                group=group or None,
                version=package.version,
                type=ComponentType.LIBRARY,
                bom_ref=str(url),
                purl=url,
            )
        )
    return found


def _file(path: Path, folder: Path, version: str, is_model: bool) -> Component:
    from cyclonedx.model import HashAlgorithm, HashType
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.model.license import DisjunctiveLicense

    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    name = path.relative_to(folder).as_posix()
    return Component(
        name=name,
        version=version or None,
        type=ComponentType.MACHINE_LEARNING_MODEL if is_model else ComponentType.FILE,
        bom_ref=f"file:{name}",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
        licenses=[] if is_model else [DisjunctiveLicense(id="Apache-2.0")],
    )


def _bom(folder: Path, metadata: FileMetadata, packages: dict[str, list[str]]) -> Bom:
    from cyclonedx.model.bom import Bom, BomMetaData
    from cyclonedx.model.component import Component, ComponentType

    models = [_file(path, folder, metadata.card.run_id, True) for path in sorted(folder.glob("*.tflite"))]
    sources = [
        _file(folder / name, folder, VERSION, False)
        for name in ("run.py", "uml_tf_runtime.zip")
        if (folder / name).is_file()
    ]
    python = {name: _python(name) for name in sorted(packages)}
    page = _npm() if (folder / "web").is_dir() else []
    bundle = Component(
        name=f"{metadata.preset} network, {metadata.quantize}, for {metadata.card.dataset or 'unnamed data'}",
        version=VERSION,
        type=ComponentType.APPLICATION,
        bom_ref="bundle",
    )
    # Of the content alone, so that the same bundle always has the same bill.
    content = " ".join(str(one.bom_ref.value) + "".join(h.content for h in one.hashes) for one in models)
    bom = Bom(
        components=[*models, *sources, *python.values(), *page],
        serial_number=uuid5(NAMESPACE_URL, f"{VERSION} {content}"),
        metadata=BomMetaData(component=bundle),
    )
    direct = [*models, *sources, *page, *python.values()]
    bom.register_dependency(bundle, direct)
    for name, needs in packages.items():
        bom.register_dependency(python[name], [python[other] for other in needs])
    return bom


def write_sbom(folder: Path, metadata: FileMetadata, required: Iterable[str]) -> Path:
    """Writes ``sbom.cdx.json``, CycloneDX 1.6, into a bundle: its models, its programs, what it installs.

    The versions are those that the bundle's requirements pin, and of what these need, those installed here.

    Args:
        folder: the bundle, complete but for its manifest.
        metadata: of the model.
        required: the packages of its requirements.

    Raises:
        UmlError: the library that writes it is missing.
    """
    check_sbom_possible()
    from cyclonedx.output import make_outputter
    from cyclonedx.schema import OutputFormat, SchemaVersion

    bom = _bom(folder, metadata, installed_with(required))
    text = make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=1)
    write_text(folder / SBOM, text + "\n")
    return folder / SBOM
