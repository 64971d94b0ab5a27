"""A comparison of tallies with the reference, as a run of its own in MLflow."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import mlflow
from mlflow.entities import Metric

from uml_tf.tracking.store import saving, use_store

OF_RUN_TAG = "uml_tf.monitored"
"""Tag of the run of a monitoring: the training run of the model."""


def _milliseconds(day: str) -> int:
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() * 1000)


def log_monitoring(run_id: str, model: str, found: Mapping[str, Any]) -> str:
    """Logs a comparison; the daily shares become curves over the days.

    Args:
        run_id: the training run of the model.
        model: the MODEL.
        found: as ``uml_tf.reports.monitoring.as_json`` gives it.

    Returns:
        The id of the new run.

    Raises:
        UmlError: the store cannot be written to.
    """
    use_store()
    metrics = {"images": found["images"], "unreadable": found["unreadable"], "alarms": len(found["alarms"])}
    metrics |= {
        f"stability/{name}": one["index"]
        for name, one in found["stability"].items()
        if one["index"] is not None
    }
    with saving("monitoring"), mlflow.start_run(run_name="monitor") as run:
        mlflow.set_tag(OF_RUN_TAG, run_id)
        mlflow.log_params({"model": model, "reference.images": found["reference_images"]})
        mlflow.log_metrics(metrics)
        days = sorted({one["day"] for one in found["days"]})
        curves = [
            Metric(f"{key}/{one['decision']}", one[key], _milliseconds(one["day"]), days.index(one["day"]))
            for one in found["days"]
            for key in ("share", "low", "high")
        ]
        for start in range(0, len(curves), 1000):  # MLflow takes no more at a time
            mlflow.MlflowClient().log_batch(run.info.run_id, curves[start : start + 1000])
        mlflow.log_dict(dict(found), "monitoring.json")
    return str(run.info.run_id)
