"""Runs, metrics, artifacts and models in MLflow."""

import os

# A hospital's software tells nobody how it is used; MLflow would, unless told so before its import.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
