"""How the cores are shared where many images are read."""

from __future__ import annotations

import os

_MOST = 4
_ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "OPENCV_FOR_THREADS_NUM")


def cores() -> int:
    """The number of CPU cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on every system
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def prefer_parallel_images() -> None:
    """Keeps NumPy and OpenCV from dividing one image between threads; to be called before they are imported.

    Their threads wait for each other by spinning: for images of usual sizes that costs more CPU time
    than the work, and images beside each other use the cores better. What the user has set is kept.
    """
    for name in _ONE_THREAD:
        os.environ.setdefault(name, "1")


def interpreter_threads(images: int) -> int:
    """Threads of the interpreter: up to 4 for one image; for many half, because decoding needs cores too."""
    most = min(cores(), _MOST)
    return most if images == 1 else max(1, most // 2)
