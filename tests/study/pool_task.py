"""A task for the tests of the pool, ``python -m pool_task PIPE``: does what its order says."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from uml_tf.study.messages import Reporter, read_order


def _wait_for(path):
    end = time.monotonic() + 60
    while not path.exists():
        if time.monotonic() > end:
            sys.exit("nobody came")
        time.sleep(0.02)


def _wait_for_the_signal(folder):
    def stop(number, frame):
        (folder / "stopped").touch()
        sys.exit(130)

    signal.signal(signal.SIGTERM, stop)
    (folder / "ready").touch()
    time.sleep(60)


def main():
    with os.fdopen(int(sys.argv[1]), "wb", buffering=0) as stream:
        reporter, order = Reporter(stream), read_order()
        folder = Path(order["folder"])
        print("a line for the log")
        match order["do"]:
            case "meet":
                (folder / order["own"]).touch()
                _wait_for(folder / order["other"])
                reporter.send("finished", threads=order["threads"], omp=os.environ.get("OMP_NUM_THREADS"))
            case "fail":
                reporter.send("failed", message="found nothing, expected something")
            case "die":
                os.kill(os.getpid(), signal.SIGKILL)
            case "torn":
                stream.write(b'{"kind": "fini')
            case "wait":
                _wait_for_the_signal(folder)


if __name__ == "__main__":
    main()
