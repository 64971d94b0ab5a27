"""Another commit's files, and the time that a process takes."""

from __future__ import annotations

import resource
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@contextmanager
def tree_of(commit: str) -> Iterator[Path]:
    """Yields a folder with the files of a commit, and removes it afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        subprocess.run(["git", "worktree", "add", "--detach", tree, commit], check=True, cwd=ROOT)
        try:
            yield tree
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", tree], check=True, cwd=ROOT)


def run_timed(command: Sequence[object], folder: Path, environment: Mapping[str, str]) -> tuple[float, float]:
    """Runs a command in a folder: (CPU seconds, seconds), of the process and of those that it starts."""
    used, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(list(map(str, command)), check=True, capture_output=True, cwd=folder, env=environment)
    seconds, now = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime, seconds
