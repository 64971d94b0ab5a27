"""Tasks in processes of their own: at the same time, failing, killed, stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from uml_tf.study.pool import Pool, Task, threads_of_each

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    paths = [str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))


def _task(folder, name, **order):
    return Task(name, "pool_task", {"folder": str(folder), **order}, folder / f"{name}.log")


def _wait_for(path):
    end = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < end, f"{path.name} did not appear"
        time.sleep(0.02)


def test_two_tasks_run_at_the_same_time_each_with_its_share_of_the_cores(tmp_path):
    # Each waits for the other.
    tasks = [
        _task(tmp_path, "a", do="meet", own="a", other="b"),
        _task(tmp_path, "b", do="meet", own="b", other="a"),
    ]
    found = Pool(jobs=2).run(tasks)
    expected = threads_of_each(2)
    assert expected >= 1
    for outcome in found.values():
        assert outcome.failure == ""
        message = outcome.messages["finished"]
        assert (message["threads"], message["omp"]) == (expected, str(expected))
    assert threads_of_each(1) == 0  # one alone has no limit
    assert "a line for the log" in (tmp_path / "a.log").read_text()


def test_tasks_that_fail_are_a_line_each_and_the_others_run(tmp_path):
    ended = []
    pool = Pool(jobs=1, ended=lambda task, outcome: ended.append(task.name))
    names = ("fail", "die", "torn")
    found = pool.run(
        [*(_task(tmp_path, n, do=n) for n in names), _task(tmp_path, "last", do="meet", own="x", other="x")]
    )
    assert ended == [*names, "last"]
    assert found["fail"].failure == "found nothing, expected something"
    log = tmp_path / "die.log"
    assert found["die"].failure == f"its process ended with signal 9 (SIGKILL); its output is in {log}"
    assert found["torn"].failure.startswith("its process ended with exit status 0")
    assert found["last"].failure == ""


CODE = """
import sys
from pathlib import Path
from uml_tf.study.pool import Pool, Task
from uml_tf.training.interruption import StoppedError

folder = Path(sys.argv[1])
order = {"folder": str(folder), "do": "wait"}
tasks = [Task(name, "pool_task", order, folder / f"{name}.log") for name in ("first", "never")]
try:
    Pool(ended=lambda task, outcome: print("it failed")).run(tasks)
except StoppedError as error:
    print(error)
"""


def _signalled(folder, number):
    """What a process prints that runs a task, and gets a signal when the task is ready."""
    command = [sys.executable, "-c", CODE, str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    _wait_for(folder / "ready")
    process.send_signal(number)
    printed, _ = process.communicate(timeout=60)
    return printed


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_request_to_stop_is_passed_on_and_waited_for(tmp_path, number):
    printed = _signalled(tmp_path, number)
    assert (tmp_path / "stopped").exists()
    assert printed == "study: stopped, all saved; the same command resumes it\n"
    assert not (tmp_path / "never.log").exists()


def test_when_the_study_is_killed_its_tasks_are_stopped(tmp_path):
    assert _signalled(tmp_path, signal.SIGKILL) == ""
    _wait_for(tmp_path / "stopped")
