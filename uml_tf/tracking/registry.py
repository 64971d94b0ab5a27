"""The model registry: named versions of trained networks, and what is known of each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import mlflow
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from uml_tf.runtime.errors import UmlError
from uml_tf.tracking.exports import EXPORT_METRIC, EXPORT_TAG, KEPT, export_uri
from uml_tf.tracking.models import MODEL_NAME
from uml_tf.tracking.store import FINISHED_TAG, last_run_id, use_store


@dataclass(frozen=True)
class Version:
    """A registered network.

    Attributes:
        name, number: what it is called.
        aliases: e.g. "champion".
        run_id: the training that made it.
        fingerprint: SHA-256 of its data set.
        git_commit: of the code that trained it.
        metrics: name -> value on the test split of its training.
        exports: kind, e.g. "tflite-int8" -> fidelity figure -> value.
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
        """The MODEL that every command takes."""
        return f"models:/{self.name}/{self.number}"


def check_name(name: str) -> None:
    """Refuses a name that cannot be registered.

    Raises:
        UmlError: it is empty, or has a character that means something in a model's URI.
    """
    if not name.strip() or re.search(r"[/:@]", name):
        raise UmlError(f"--name: found '{name}', expected a name without / : and @")


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
    """Registers a training's network under a name, with what is known of it.

    Args:
        reference: a run id, or "last".
        name: the registered model's name.

    Returns:
        The version, and whether it is new: a run is registered once under a name.

    Raises:
        UmlError: the name cannot be one, or there is no such finished run.
    """
    check_name(name)
    use_store()
    run_id = _finished_run(reference)
    for version in versions(name):
        if version.run_id == run_id:
            return version, False
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
        raise UmlError(f"run '{run_id}': cannot be registered ({str(error).splitlines()[0]})") from error
    return find_version(name, str(added.version)), True


def _exports(metrics: dict[str, float]) -> dict[str, dict[str, float]]:
    exports: dict[str, dict[str, float]] = {}
    for key, value in metrics.items():
        if key.startswith(EXPORT_METRIC):
            kind, _, figure = key.removeprefix(EXPORT_METRIC).partition("/")
            exports.setdefault(kind, {})[figure] = value
    return exports


def _described(version: ModelVersion, aliases: Sequence[str]) -> Version:
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


def versions(name: str | None = None) -> list[Version]:
    """The versions of one name, or of all, by name and number."""
    use_store()
    client = MlflowClient()
    aliases: dict[tuple[str, str], list[str]] = {}
    for model in client.search_registered_models():
        for alias, number in model.aliases.items():
            aliases.setdefault((model.name, str(number)), []).append(alias)
    found = client.search_model_versions(f"name = '{name}'" if name else None)
    described = [_described(v, sorted(aliases.get((v.name, str(v.version)), ()))) for v in found]
    return sorted(described, key=lambda v: (v.name, v.number))


def find_version(name: str, version: str | None = None) -> Version:
    """A version by number or alias; the newest without either.

    Raises:
        UmlError: there is none.
    """
    known = versions(name)
    if not known:
        names = ", ".join(sorted({v.name for v in versions()})) or "none"
        raise UmlError(f"registered model '{name}': not found, expected one of: {names}")
    if version is None:
        return known[-1]
    for candidate in known:
        if version in (str(candidate.number), *candidate.aliases):
            return candidate
    numbers = ", ".join(str(v.number) for v in known)
    raise UmlError(f"registered model '{name}': found no version or alias '{version}', it has {numbers}")


def holder(name: str, alias: str) -> Version | None:
    """The version that an alias names now."""
    return next((v for v in versions(name) if alias in v.aliases), None)


def set_alias(version: Version, alias: str) -> None:
    """Makes an alias name a version, and no other.

    Raises:
        UmlError: MLflow takes no such alias.
    """
    try:
        MlflowClient().set_registered_model_alias(version.name, alias, str(version.number))
    except MlflowException as error:
        raise UmlError(f"--alias {alias}: {str(error).splitlines()[0]}") from error
