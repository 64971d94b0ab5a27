"""Runs, metrics, artifacts and models in MLflow."""

import os

# Switches MLflow's telemetry off; it must be set before MLflow is imported.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
