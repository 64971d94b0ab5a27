"""What grows in the memory of a training with the number of images: lines of the manifest, digests, entries.

Run: ``python benchmarks/rows.py DATA`` for a prepared data set; no network is built.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from pathlib import Path

from uml_tf.data.dataset import PreparedDataset


def _memory() -> float:
    """Resident MB of this process."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096 / 1e6


def main() -> None:
    """Prints a line for each part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    before = _memory()
    dataset = PreparedDataset.open(parser.parse_args().data)
    rows = _memory()
    files, train = dataset.file_digests, dataset.split("train")
    assert dataset.fingerprint
    hashed = _memory()
    # As ``uml_tf.data.cached_examples`` finds the entry of each row in the store.
    keys = [
        hashlib.sha256(repr((files[row.image], files.get(row.mask, b""), None)).encode()).digest()
        for row in dataset.rows
    ]
    places = {key: number for number, key in enumerate(sorted(set(keys)))}
    entries = {row: places[key] for row, key in zip(dataset.rows, keys, strict=True)}
    print(
        f"{len(train)} of {len(entries)} images: lines {rows - before:.0f} MB, digests {hashed - rows:.0f}, "
        f"entries {_memory() - hashed:.0f}; {time.process_time():.1f} s of CPU"
    )


if __name__ == "__main__":
    main()
