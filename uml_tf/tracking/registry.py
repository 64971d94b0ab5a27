"""The model registry: named versions of trained networks, with the metrics, data and exports of each."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import mlflow
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.store.entities import PagedList

from uml_tf.runtime.errors import UmlError, first_line
from uml_tf.tracking.exports import EXPORT_METRIC, EXPORT_TAG, KEPT, export_uri
from uml_tf.tracking.models import MODEL_NAME
from uml_tf.tracking.store import FINISHED_TAG, last_run_id, use_store

Item = TypeVar("Item")

_ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
_PAGE = 100


@dataclass(frozen=True)
class Version:
    """A registered network.

    Attributes:
        name, number: of the registered model and of the version.
        aliases: e.g. "champion".
        run_id: the training that made it.
        fingerprint: SHA-256 of its data set.
        git_commit: of the code that trained it.
        metrics: name -> value on the test split of its training.
        exports: kind, e.g. "tflite-int8" -> name of a fidelity figure -> value.
        export_uris: kind -> where the exported files are, for those that were kept.
    """

    name: str
    number: int
    aliases: tuple[str, ...]
    run_id: str
    fingerprint: str = ""
    git_commit: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    exports: dict[str, dict[str, float]] = field(default_factory=dict)
    export_uris: dict[str, str] = field(default_factory=dict)

    @property
    def uri(self) -> str:
        """The MODEL argument that every command takes."""
        return f"models:/{self.name}/{self.number}"


def check_name(name: str) -> None:
    """Refuses a name that cannot be registered.

    Raises:
        UmlError: it is empty, has a character with a meaning in a model's URI, or has both kinds of quotes,
            which no search can express.
    """
    if not name.strip() or re.search(r"[/:@]", name):
        raise UmlError(f"--name: found '{name}', expected a name without / : and @")
    _quoted(name)


def _quoted(name: str) -> str:
    """A name as MLflow's search expects it."""
    if "'" in name and '"' in name:
        raise UmlError(f"--name: found '{name}', expected a name without ' or without \"")
    return f'"{name}"' if "'" in name else f"'{name}'"


def _pages(read: Callable[[str | None], PagedList[Item]]) -> Iterator[Item]:
    """Yields what a search finds, page by page to its end.

    Args:
        read: from the token of a page, None for the first, to the page.
    """
    token = None
    while True:
        page = read(token)
        yield from page
        token = page.token
        if not token:
            return


def _existing(read: Callable[[], ModelVersion]) -> ModelVersion | None:
    """A model version, or None where the store has none.

    Raises:
        UmlError: the store cannot be read.
    """
    try:
        return read()
    except MlflowException as error:
        if error.error_code in _ABSENT:
            return None
        raise UmlError(f"MLflow store: cannot be read ({first_line(error)})") from error


def _finished_run(reference: str) -> str:
    if reference == "last":
        return last_run_id()
    try:
        run = mlflow.get_run(reference)
    except MlflowException as error:
        raise UmlError(f"run '{reference}': not found in {mlflow.get_tracking_uri()}") from error
    if FINISHED_TAG not in run.data.tags:
        raise UmlError(f"run '{reference}': found a training that is not finished, expected a finished one")
    return reference


def add_version(reference: str, name: str) -> tuple[Version, bool]:
    """Registers a training's network under a name, with its data set, code and exports as tags.

    Args:
        reference: a run id, or "last".
        name: the registered model's name.

    Returns:
        The version, and whether it is new: a run is registered once under a name.

    Raises:
        UmlError: the name is not allowed, or there is no such finished run.
    """
    check_name(name)
    use_store()
    run_id = _finished_run(reference)
    for version in _search(name):
        if version.run_id == run_id:
            return find_version(name, str(version.version)), False
    data = mlflow.get_run(run_id).data
    kinds = {kind for kind, numbers in _exports(data.metrics).items() if numbers.get(KEPT)}
    tags = {
        "dataset.fingerprint": data.params.get("dataset.fingerprint", ""),
        "git.commit": data.params.get("git.commit", ""),
        **{f"{EXPORT_TAG}{kind}": export_uri(run_id, kind) for kind in kinds},
    }
    try:
        added = mlflow.register_model(f"runs:/{run_id}/{MODEL_NAME}", name, tags=tags)
    except MlflowException as error:
        raise UmlError(f"run '{run_id}': cannot be registered ({first_line(error)})") from error
    return find_version(name, str(added.version)), True


def _exports(metrics: dict[str, float]) -> dict[str, dict[str, float]]:
    exports: dict[str, dict[str, float]] = {}
    for key, value in metrics.items():
        if key.startswith(EXPORT_METRIC):
            kind, _, figure = key.removeprefix(EXPORT_METRIC).partition("/")
            exports.setdefault(kind, {})[figure] = value
    return exports


def _described(version: ModelVersion, aliases: Sequence[str]) -> Version:
    """A version with what its run recorded."""
    known = Version(version.name, int(version.version), tuple(aliases), version.run_id or "")
    try:
        data = mlflow.get_run(known.run_id).data
    except MlflowException:  # the run was deleted; the version stays
        return known
    return Version(
        *(known.name, known.number, known.aliases, known.run_id),
        fingerprint=data.params.get("dataset.fingerprint", ""),
        git_commit=data.params.get("git.commit", ""),
        metrics={
            key.removeprefix("test/"): value for key, value in data.metrics.items() if key.startswith("test/")
        },
        exports=_exports(data.metrics),
        export_uris={
            key.removeprefix(EXPORT_TAG): uri
            for key, uri in version.tags.items()
            if key.startswith(EXPORT_TAG)
        },
    )


def _search(name: str | None) -> Iterator[ModelVersion]:
    """Yields every version of one name, or of all."""
    wanted = f"name = {_quoted(name)}" if name else None
    return _pages(
        lambda token: MlflowClient().search_model_versions(wanted, max_results=_PAGE, page_token=token)
    )


def _aliases() -> dict[tuple[str, int], list[str]]:
    """(name, number) -> aliases, of every registered model."""
    aliases: dict[tuple[str, int], list[str]] = {}
    models = _pages(
        lambda token: MlflowClient().search_registered_models(max_results=_PAGE, page_token=token)
    )
    for model in models:
        for alias, number in model.aliases.items():
            aliases.setdefault((model.name, int(number)), []).append(alias)
    return aliases


def versions(name: str | None = None) -> list[Version]:
    """The versions of one name, or of all, ordered by name and number.

    Raises:
        UmlError: the store cannot be used.
    """
    use_store()
    aliases = _aliases()
    described = [_described(v, sorted(aliases.get((v.name, int(v.version)), ()))) for v in _search(name)]
    return sorted(described, key=lambda v: (v.name, v.number))


def find_version(name: str, version: str | None = None) -> Version:
    """A version by number or alias; the newest without either.

    Raises:
        UmlError: there is none.
    """
    use_store()
    found = _lookup(name, version)
    if found is None:
        raise UmlError(_not_found(name, version))
    model = MlflowClient().get_registered_model(name)
    return _described(
        found, sorted(a for a, number in model.aliases.items() if str(number) == str(found.version))
    )


def _lookup(name: str, version: str | None) -> ModelVersion | None:
    client = MlflowClient()
    if version is None:
        return max(_search(name), key=lambda v: int(v.version), default=None)
    by_number = None
    if version.isdecimal():
        by_number = _existing(lambda: client.get_model_version(name, version))
    return by_number or _existing(lambda: client.get_model_version_by_alias(name, version))


def _not_found(name: str, version: str | None) -> str:
    numbers = sorted(int(v.version) for v in _search(name))
    if not numbers:
        names = ", ".join(sorted({v.name for v in _search(None)})) or "none"
        return f"registered model '{name}': not found, expected one of: {names}"
    known = ", ".join(map(str, numbers))
    return f"registered model '{name}': found no version or alias '{version}', it has {known}"


def holder(name: str, alias: str) -> Version | None:
    """The version that has an alias now, or None.

    Raises:
        UmlError: the store cannot be read.
    """
    use_store()
    found = _existing(lambda: MlflowClient().get_model_version_by_alias(name, alias))
    return find_version(name, str(found.version)) if found else None


def set_alias(version: Version, alias: str) -> None:
    """Gives a version an alias; no other version of its name keeps it.

    Raises:
        UmlError: MLflow refuses the alias.
    """
    try:
        MlflowClient().set_registered_model_alias(version.name, alias, str(version.number))
    except MlflowException as error:
        raise UmlError(f"--alias {alias}: {first_line(error)}") from error
