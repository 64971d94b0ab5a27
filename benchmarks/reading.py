"""Peak memory and time of reading a growing number of training images: all of an epoch but the network.

Run: ``python benchmarks/reading.py --images 1000 10000``. For each number a process of its own opens a data
set of blurred noise, hashes its files, fills the cache by one epoch of batches, and reads a second epoch.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from uml_tf.data.dataset import DatasetInfo, PreparedDataset, Row, write_dataset

_BATCH = 16


def write(root: Path, count: int, size: int) -> None:
    """A prepared data set of ``count`` training images, each with a mask, and of one to validate on."""
    rng = np.random.default_rng(0)
    mask = cv2.imencode(".png", np.eye(size, dtype=np.uint8))[1].tobytes()
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    rows = []
    for index in range(count + 1):
        noise = cv2.resize(rng.integers(0, 256, (8, 8, 3), np.uint8), (size, size))
        image, drawn = f"images/{index}.jpg", f"masks/{index}.png"
        (root / image).write_bytes(cv2.imencode(".jpg", noise)[1].tobytes())
        (root / drawn).write_bytes(mask)
        rows.append(Row(image, drawn, "ab"[index % 2], "train" if index < count else "val", f"s{index}"))
    write_dataset(root, DatasetInfo(name="noise", image_classes=("a", "b"), pixel_classes=("c", "d")), rows)


def read(root: Path, size: int) -> None:
    """Reads two epochs of a data set; prints the seconds and the peak memory."""
    from uml_tf.data.cached_examples import open_splits
    from uml_tf.data.pipeline import epoch_order, load_examples, training_batches

    start = time.process_time()
    dataset = PreparedDataset.open(root)
    count = len(dataset.split("train"))
    assert dataset.fingerprint
    splits = open_splits(dataset, ("train", "val"), (size, size), lambda name, total: lambda done: None)
    train = splits["train"]
    opened, seconds, first = time.process_time() - start, [], 0.0
    for epoch in range(2):
        begun = time.process_time()
        for number, _ in enumerate(
            training_batches(train, epoch_order(train, _BATCH, 0, epoch, None), _BATCH, None)
        ):
            if epoch == number == 0:
                first = time.process_time() - begun
        seconds.append(time.process_time() - begun)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{count} images: opened in {opened:.1f} s of CPU, first batch after {first:.1f}, "
        f"first epoch {seconds[0]:.1f}, second {seconds[1]:.1f}; peak {peak:.0f} MB with the cache"
    )
    held = load_examples(dataset, "train", (size, size))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{count} images: peak {peak:.0f} MB once {len(held)} are held in memory", flush=True)


def main() -> None:
    """Prints two lines for each number of images."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, nargs="+", default=[1000, 10000])
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read:
        read(options.read, options.size)
        return
    for count in options.images:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder) / "data"
            write(root, count, options.size)
            variables = {"UML_TF_CACHE": str(Path(folder) / "cache"), "TF_CPP_MIN_LOG_LEVEL": "3"}
            arguments = ["--read", str(root), "--size", str(options.size)]
            subprocess.run([sys.executable, __file__, *arguments], env=os.environ | variables, check=True)


if __name__ == "__main__":
    main()
