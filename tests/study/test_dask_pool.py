"""The tasks of a study on the workers of a Dask cluster, in processes as the local pool starts them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from distributed import LocalCluster

from uml_tf.runtime.errors import UmlError
from uml_tf.study.dask_pool import DaskPool
from uml_tf.study.pool import Pool, Task
from uml_tf.training.interruption import StoppedError

HERE = Path(__file__).parent
OPTIONS = {"processes": False, "dashboard_address": None, "protocol": "tcp", "host": "127.0.0.1"}


@pytest.fixture(scope="module")
def scheduler():
    with LocalCluster(n_workers=2, threads_per_worker=1, **OPTIONS) as cluster:
        yield cluster.scheduler_address


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    paths = [str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))


def _task(folder, name, **order):
    return Task(name, "pool_task", {"folder": str(folder), **order}, folder / f"{name}.log")


def test_tasks_run_beside_each_other_and_end_as_in_the_local_pool(scheduler, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    seen = []
    pool = DaskPool(
        scheduler,
        lambda task: seen.append(("started", task.name)),
        lambda task, message: seen.append((message["kind"], task.name)),
        lambda task, outcome: seen.append(("ended", task.name)),
    )
    # Each of the first two waits for the other.
    tasks = [
        _task(tmp_path, "a", do="meet", own="a", other="b"),
        _task(tmp_path, "b", do="meet", own="b", other="a"),
        _task(tmp_path, "fail", do="fail"),
    ]
    found = pool.run(tasks)
    for name in "ab":
        assert found[name].failure == ""
        assert "finished" in found[name].messages
        assert {kind for kind, task in seen if task == name} >= {"started", "finished", "ended"}
    assert found["fail"].failure == Pool().run([tasks[2]])["fail"].failure != ""


def test_a_stop_reaches_what_runs(scheduler, tmp_path):
    def stop():
        while not (tmp_path / "ready").exists():
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=stop).start()
    with pytest.raises(StoppedError):
        DaskPool(scheduler).run([_task(tmp_path, "a", do="wait")])
    assert (tmp_path / "stopped").exists()


def _stop_soon(seconds):
    threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGTERM)).start()


def test_a_stop_does_not_wait_for_tasks_that_no_worker_has_taken(tmp_path):
    lines = []
    with LocalCluster(n_workers=0, **OPTIONS) as empty:
        _stop_soon(1)
        with pytest.raises(StoppedError):
            DaskPool(empty.scheduler_address, warn=lines.append).run([_task(tmp_path, "a", do="fail")])
        assert lines == [
            f"--dask {empty.scheduler_address}: no worker is there yet; the first to come begins"
        ]


def test_a_stop_leaves_tasks_that_wait_behind_others_unbegun(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with LocalCluster(n_workers=1, threads_per_worker=1, **OPTIONS) as cluster:

        def stop():
            while not (tmp_path / "ready").exists():
                time.sleep(0.02)
            os.kill(os.getpid(), signal.SIGTERM)

        threading.Thread(target=stop).start()
        tasks = [_task(tmp_path, "a", do="wait"), _task(tmp_path, "b", do="fail")]
        with pytest.raises(StoppedError):
            DaskPool(cluster.scheduler_address).run(tasks)
    assert (tmp_path / "stopped").exists()
    assert not (tmp_path / "b.log").exists()


def test_a_lost_scheduler_is_one_line(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ("-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(port))
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    address = f"tcp://127.0.0.1:{port}"
    with subprocess.Popen([sys.executable, *words, "--no-dashboard"], **quiet) as scheduler:
        pool = DaskPool(address, lambda task: threading.Timer(0.5, scheduler.kill).start())
        try:
            with pytest.raises(
                UmlError, match=f"^--dask {address}: the scheduler was lost; the same command"
            ):
                pool.run([_task(tmp_path, "a", do="fail")])
        finally:
            scheduler.kill()


def test_a_folder_that_a_worker_does_not_have_is_named(scheduler, tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    monkeypatch.setattr(Path, "cwd", lambda: gone)
    found = DaskPool(scheduler).run([_task(tmp_path, "a", do="fail")])
    assert f"{gone}: not found on" in found["a"].failure


def test_no_scheduler_is_one_line(tmp_path):
    with pytest.raises(UmlError, match=r"--dask tcp://127.0.0.1:9: no scheduler can be reached there"):
        DaskPool("tcp://127.0.0.1:9").run([_task(tmp_path, "a", do="fail")])
