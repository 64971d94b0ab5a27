"""Kills a program that watches a folder many times, while images land there in pieces.

Run: ``python tests/watch_kills.py MODEL.tflite FOLDER KILLS``, by ``tests/runtime/test_watch.py``. A killed
program is a copy of this process, by fork, so that a start costs no imports; it is killed with SIGKILL after
a random time. Nothing here imports TensorFlow.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

os.environ.update(OPENBLAS_NUM_THREADS="1", OPENCV_FOR_THREADS_NUM="1")

import cv2
import numpy as np

from uml_tf.runtime.device_model import DeviceModel
from uml_tf.runtime.file_state import KEY
from uml_tf.runtime.watch import WatchOptions, watch_folder

OPTIONS = WatchOptions(interval=0.002, patience=0.2, workers=2)


def pictures(count):
    """(name, content) of small images; every ninth is none."""
    rng = np.random.default_rng(0)
    for index in range(count):
        small = rng.integers(0, 255, (4, 4, 3), dtype=np.uint8)
        picture = cv2.resize(small, (48, 40), interpolation=cv2.INTER_CUBIC)
        suffix = (".png", ".jpg")[index % 2]
        content = cv2.imencode(suffix, picture)[1].tobytes()
        yield f"{index // 2:03d}{suffix}", b"no image" if index % 9 == 5 else content


def land(folder, waiting, halves):
    """The next image lands: some at once, some by half now and whole at the next call."""
    for path, content in halves:
        path.write_bytes(content)
    halves.clear()
    if waiting:
        name, content = waiting.pop()
        is_slow = random.random() < 0.4 and content != b"no image"
        (folder / name).write_bytes(content[: len(content) // 2] if is_slow else content)
        if is_slow:
            halves.append((folder / name, content))
            with (folder.parent / "halves.txt").open("a") as file:
                file.write(f"{folder / name}\n")


def watch(model, folder, is_over=lambda: False):
    """What run.py --watch does, with its lines in a file."""
    with (folder / "lines.txt").open("a", buffering=1) as lines:
        watch_folder(
            model,
            folder / "in",
            folder / "out",
            lambda line: lines.write(f"{line}\n"),
            lambda line: lines.write(f"unreadable {line}\n"),
            OPTIONS,
            is_over,
        )


def answers(out):
    """JSON -> (state of the image's file, inode), of all there are."""
    return {
        path.name: (json.loads(path.read_text())[KEY], path.stat().st_ino) for path in out.glob("[!.]*.json")
    }


def main():
    model, folder, kills = DeviceModel(Path(sys.argv[1]), 1), Path(sys.argv[2]), int(sys.argv[3])
    (folder / "in").mkdir()
    random.seed(1)
    waiting, halves, rewritten, seen, killed_in = list(pictures(kills)), [], 0, {}, 0
    for _ in range(kills):
        child = os.fork()
        if child == 0:
            watch(model, folder)
        for _ in range(2):
            land(folder / "in", waiting, halves)
            time.sleep(random.uniform(0, 0.25))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        now = answers(folder / "out")
        missing = {name for name in seen if name not in now}
        assert not missing, missing
        # On a busy machine half an image can lie there until it counts as unreadable, and is whole later.
        same = [name for name in seen if now[name][0] == seen[name][0]]
        rewritten += sum(now[name] != seen[name] for name in same)
        killed_in += len(now) < kills - len(waiting)
        seen = now
    land(folder / "in", [], halves)
    until = time.monotonic() + 60
    watch(model, folder, lambda: len(answers(folder / "out")) == kills or time.monotonic() > until)
    print(
        f"{killed_in} kills with images left, {rewritten} answers written again, {len(seen)} before the end"
    )


if __name__ == "__main__":
    main()
