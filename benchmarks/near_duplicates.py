"""Time of the search for hashes that differ in few bits, against comparing each with each.

Run: ``python benchmarks/near_duplicates.py``. The hashes are random, and one in ten is a copy of another with
0 to 60 bits flipped; those called alike have few bits set, as photographs have that are framed alike.
``--equal 1000`` makes so many of them equal, as black frames are.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uml_tf.data.hash_pairs import near_pair_parts
from uml_tf.data.near_duplicates import HASH_BITS

_BLOCK = 1000


def hashes(count: int, share: float, equal: int) -> NDArray[np.bool_]:
    """``(count, 256)`` hashes, with this share of the bits set, of which so many are equal."""
    rng = np.random.default_rng(0)
    drawn = rng.random((count, HASH_BITS), np.float32) < share
    copies = rng.choice(count, count // 10, replace=False)
    drawn[copies] = drawn[rng.permutation(count)[: len(copies)]]
    for copy in copies:
        drawn[copy, rng.choice(HASH_BITS, rng.integers(61), replace=False)] ^= True
    drawn[rng.choice(count, equal, replace=False)] = drawn[0]
    return drawn


def all_with_all(bits: NDArray[np.bool_], distance: int) -> set[tuple[int, int]]:
    """The pairs by their definition."""
    values = bits.astype(np.float32)
    found = set()
    for start in range(0, len(bits), _BLOCK):
        block = values[start : start + _BLOCK]
        differing = block @ (1 - values.T) + (1 - block) @ values.T
        first, second = np.nonzero(differing <= distance)
        upper = second > first + start
        found |= set(zip((first[upper] + start).tolist(), second[upper].tolist(), strict=True))
    return found


def searched(bits: NDArray[np.bool_], distance: int) -> set[tuple[int, int]]:
    """The pairs by the package's search."""
    return {
        pair
        for part in near_pair_parts(list(bits), distance)
        for pair in zip(part.first.tolist(), part.second.tolist(), strict=True)
    }


def timed(search: Callable[[Any, int], set[tuple[int, int]]], *given: Any) -> tuple[float, float, Any]:
    """Seconds of the clock and of the CPU, and the pairs."""
    clock, cpu = time.perf_counter(), time.process_time()
    pairs = search(*given)
    return time.perf_counter() - clock, time.process_time() - cpu, pairs


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, nargs="+", default=[5_000, 20_000, 100_000])
    parser.add_argument(
        "--compared", type=int, default=5_000, help="Most images that all-with-all is run on."
    )
    parser.add_argument("--equal", type=int, default=0, help="Images that have the same hash.")
    options = parser.parse_args()
    print("images   hashes  bits     pairs  seconds  CPU seconds  all with all, CPU seconds")
    for count in options.images:
        for name, share in (("spread", 0.5), ("alike", 0.12)):
            for distance in (24, 48):
                if name == "alike" and distance == 48:
                    continue  # three quarters of all pairs are found: to hold them would measure the memory
                bits = hashes(count, share, options.equal)
                clock, cpu, pairs = timed(searched, bits, distance)
                row = f"{count:6d}   {name:6s}  {distance:4d}  {len(pairs):8d}  {clock:7.1f}  {cpu:11.1f}"
                if count <= options.compared:
                    _, cpu, expected = timed(all_with_all, bits, distance)
                    row += f"  {cpu:.1f}, {'the same pairs' if pairs == expected else 'OTHER PAIRS'}"
                print(row, flush=True)


if __name__ == "__main__":
    main()
