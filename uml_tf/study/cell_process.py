"""The process of one cell: ``python -m uml_tf.study.cell_process PIPE``, its order on standard input."""

from __future__ import annotations

import os
import sys
import time
import traceback
from typing import Any

from uml_tf.runtime.errors import UmlError
from uml_tf.study.messages import Reporter, limit_threads, read_order
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


def _run(order: dict[str, Any], reporter: Reporter) -> str:
    """Trains or resumes the cell; its run id."""
    limit_threads(order["threads"])
    from uml_tf.training.run import resume, train

    if order["run_id"] is None:
        config = parse_config(order["config"], "config of the cell", {})
        result = train(config, reporter, order["name"], order["tags"])
    else:
        _wait_until_free(order["run_id"])
        result = resume(order["run_id"], reporter)
    assert result is not None, "a cell is trained by one process"
    return result.run_id


def main() -> None:
    """Carries out the order and reports how it ended."""
    with os.fdopen(int(sys.argv[1]), "w", encoding="utf-8") as stream:
        reporter = Reporter(stream)
        order = read_order()
        try:
            reporter.send("finished", run_id=_run(order, reporter))
        except UmlError as error:
            reporter.send("failed", message=str(error))
            sys.exit(error.exit_status)
        except Exception as error:  # the log has the traceback, the study shows one line
            traceback.print_exc()
            reporter.send("failed", message=f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")
            sys.exit(1)


if __name__ == "__main__":
    main()
