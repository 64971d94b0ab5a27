"""The MLflow store: runs and models."""
