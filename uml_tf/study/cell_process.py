"""The process of one cell: ``python -m uml_tf.study.cell_process PIPE``, its order on standard input."""

from __future__ import annotations

import time
from typing import Any

from uml_tf.study.messages import Reporter, carry_out
from uml_tf.training.config import parse_config


def _wait_until_free(run_id: str) -> None:
    """Waits until no other process trains a run: that of a killed study saves it, or finishes it."""
    from uml_tf.tracking.unfinished import RunningError, running

    while True:
        try:
            with running(run_id):
                return
        except RunningError:
            time.sleep(0.5)


def _run(order: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Trains or resumes the cell, unless another process finished it meanwhile; its run id."""
    from uml_tf.tracking.store import use_store
    from uml_tf.tracking.unfinished import is_finished
    from uml_tf.training.run import resume, train

    run_id = order["run_id"]
    if run_id is None:
        config = parse_config(order["config"], "config of the cell", {})
        result = train(config, reporter, order["name"], order["tags"])
    else:
        _wait_until_free(run_id)
        use_store()
        if is_finished(run_id, "cell"):
            return {"run_id": run_id}
        result = resume(run_id, reporter)
    assert result is not None, "a cell is trained by one process"
    return {"run_id": result.run_id}


if __name__ == "__main__":
    carry_out(_run)
