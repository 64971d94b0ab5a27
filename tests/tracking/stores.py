"""Stores of MLflow that hold no network, for tests of the registry alone."""

from __future__ import annotations

from contextlib import contextmanager

import mlflow
import pytest

from uml_tf.tracking.store import EXPERIMENT, use_store


@contextmanager
def fresh_store(folder):
    """An empty SQLite store in a folder, the working directory meanwhile: (client, id of the experiment)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        use_store()
        yield mlflow.MlflowClient(), mlflow.get_experiment_by_name(EXPERIMENT).experiment_id
