"""The process of one cell: ``python -m uml_tf.study.cell_process PIPE``, its order on standard input."""

from __future__ import annotations

import time
from typing import Any

from uml_tf.runtime.errors import UmlError
from uml_tf.study.messages import Reporter, carry_out
from uml_tf.training.config import parse_config

_LONGEST_WAIT = 120
"""Seconds that the process of a killed study is given to save the training that it was in."""


def _wait_until_free(run_id: str) -> None:
    """Waits until no other process trains a run.

    Raises:
        UmlError: it is still trained.
    """
    from uml_tf.tracking.unfinished import running

    end = time.monotonic() + _LONGEST_WAIT
    while True:
        try:
            with running(run_id):
                return
        except UmlError:
            if time.monotonic() > end:
                raise
            time.sleep(0.5)


def _run(order: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Trains or resumes the cell; its run id."""
    from uml_tf.training.run import resume, train

    if order["run_id"] is None:
        config = parse_config(order["config"], "config of the cell", {})
        result = train(config, reporter, order["name"], order["tags"])
    else:
        _wait_until_free(order["run_id"])
        result = resume(order["run_id"], reporter)
    assert result is not None, "a cell is trained by one process"
    return {"run_id": result.run_id}


if __name__ == "__main__":
    carry_out(_run)
