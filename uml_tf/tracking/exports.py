"""Exports in MLflow: where a model's data lie, and its exported files beside it."""

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
"""What the names of an export's figures begin with, before its kind."""
EXPORT_TAG = "export."
"""What the tags of a registered version begin with that link its exports."""
KEPT = "kept"
"""The figure that is 1 where the exported file was kept, 0 where it was refused."""


def export_uri(run_id: str, kind: str) -> str:
    """Where an export's files are."""
    return f"runs:/{run_id}/exports/{kind}"


def dataset_of(card: ModelCard) -> PreparedDataset:
    """The data set that a model was trained on, where its run says it lies.

    Raises:
        UmlError: the run or the folder is not there, or the folder holds other data now.
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
    """Logs an exported folder's files and fidelity to the run that trained the model, and links them from
    the registered versions of that run.

    Args:
        run_id: the run.
        folder: what was written.
        kind: the export's name, e.g. "tflite-int8".
        files: names of the files to log, those that were not written left out.
        numbers: name -> number.
        kept: whether the exported model is among the files; an earlier one that was stays logged.

    Returns:
        False where the store does not know the run; nothing is logged then.
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
