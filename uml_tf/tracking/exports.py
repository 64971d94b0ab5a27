"""Exports in MLflow: the data set of a model, and its exported files, logged to its training run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import mlflow
from mlflow.exceptions import MlflowException

from uml_tf.data.dataset import PreparedDataset
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.model_card import ModelCard
from uml_tf.tracking.store import use_store

ROOT_PARAM = "dataset.root"
EXPORT_METRIC = "export/"
"""Prefix of an export's metrics, followed by its kind."""
EXPORT_TAG = "export."
"""Prefix of the tags that link a registered version to its exports, followed by their kind."""
KEPT = "kept"
"""The metric that is 1 where the exported file was kept, 0 where it was refused."""


def export_uri(run_id: str, kind: str) -> str:
    """The MLflow URI of an export's files."""
    return f"runs:/{run_id}/exports/{kind}"


def dataset_of(card: ModelCard) -> PreparedDataset:
    """The data set that a model was trained on, from the path that its run has recorded.

    Raises:
        UmlError: the run or the folder does not exist, or the folder's data were changed.
    """
    expected = "expected the training run, or a data set given by option"
    use_store()
    try:
        root = mlflow.get_run(card.run_id).data.params.get(ROOT_PARAM) if card.run_id else None
    except MlflowException:
        root = None
    if root is None:
        raise UmlError(f"data set of the model: run '{card.run_id}' not found in this store, {expected}")
    dataset = PreparedDataset.open(Path(root))
    if dataset.fingerprint != card.fingerprint:
        raise UmlError(
            f"{root}: fingerprint: found {dataset.fingerprint[:12]}, "
            f"expected the training's {card.fingerprint[:12]}: the data were changed"
        )
    return dataset


def log_export(
    run_id: str, folder: Path, kind: str, files: Sequence[str], numbers: dict[str, float | None], kept: bool
) -> bool:
    """Logs the files and the fidelity of an export to the training run, and links the files from the
    registered versions of that run.

    Args:
        run_id: the run.
        folder: of the export.
        kind: of the export, e.g. "tflite-int8".
        files: names of the files to log; those that do not exist are left out.
        numbers: metric -> value.
        kept: whether the exported model is among the files. If not, the file of an earlier export of this
            kind stays logged, but is no longer linked.

    Returns:
        False where the run is not in the store; nothing is logged then.
    """
    use_store()
    client = mlflow.MlflowClient()
    try:
        client.get_run(run_id)
    except MlflowException:
        return False
    for name, value in {**numbers, KEPT: float(kept)}.items():
        if value is not None:
            client.log_metric(run_id, f"{EXPORT_METRIC}{kind}/{name}", value)
    for file in files:
        if (folder / file).exists():
            client.log_artifact(run_id, str(folder / file), f"exports/{kind}")
    _link(client, run_id, kind, kept)
    return True


def _link(client: mlflow.MlflowClient, run_id: str, kind: str, kept: bool) -> None:
    tag = f"{EXPORT_TAG}{kind}"
    for version in client.search_model_versions(f"run_id = '{run_id}'"):
        if kept:
            client.set_model_version_tag(version.name, version.version, tag, export_uri(run_id, kind))
        elif tag in version.tags:
            client.delete_model_version_tag(version.name, version.version, tag)
