"""The local store: how its database is created."""

from __future__ import annotations

import mlflow
import pytest
from sqlalchemy import create_engine, text

from uml_tf.runtime.errors import UmlError
from uml_tf.tracking.store import DATABASE, EXPERIMENT, FINISHED_TAG, FOLDER, last_run_id, use_store


def _waits_for_the_disk(uri):
    with create_engine(uri).connect() as connection:
        return connection.execute(text("PRAGMA synchronous")).scalar()


def test_a_database_appears_complete_and_is_written_to_the_disk_from_then_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    uri = use_store()
    assert sorted(path.name for path in (tmp_path / FOLDER).iterdir()) == [".lock", DATABASE]
    with mlflow.start_run() as run:
        mlflow.log_metric("one", 1)
    client = mlflow.MlflowClient(uri)
    assert client.get_run(run.info.run_id).data.metrics == {"one": 1.0}
    assert client.get_experiment_by_name(EXPERIMENT).artifact_location.endswith(f"/{FOLDER}/artifacts")
    full = 2
    assert _waits_for_the_disk(uri) == full


def test_the_last_training_is_no_cell_of_a_study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    use_store()
    with mlflow.start_run(), mlflow.start_run(nested=True, tags={FINISHED_TAG: "train"}):
        pass
    with pytest.raises(UmlError, match=r"model 'last': found no finished training run .* runs:/ID/model"):
        last_run_id()
    with mlflow.start_run(tags={FINISHED_TAG: "train"}) as trained:
        pass
    with mlflow.start_run():
        for _ in range(21):  # more than are read at once
            with mlflow.start_run(nested=True, tags={FINISHED_TAG: "train"}):
                pass
    assert last_run_id() == trained.info.run_id
