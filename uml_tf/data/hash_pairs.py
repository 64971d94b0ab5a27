"""Pairs of 256-bit hashes that differ in few bits: every one of them, as if each were compared with each.

Two searches give the same pairs:

- by bands: the bits are dealt into m bands. In a pair that differs in fewer than 2 m bits, one band differs
  in at most one bit (pigeonhole), so the two are neighbours when the hashes are sorted by that band without
  that bit. The time grows as n log n, as long as few hashes share a band by chance. Of equal hashes one is
  searched for.
- by scanning: the first 128 bits of each are compared with those of each, the rest where these are close. The
  time grows with n^2, at 3 ns a pair, whatever the hashes are.

Bands serve for few differing bits: 24 of 256 leave bands of 20 bits, which 2 of a million hashes share. With
48 bits, or among photographs that are all framed alike, too many share one, and scanning is faster.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_WORD = 64
_FIRST_WORDS = 2
_TILE_ROWS, _TILE_COLUMNS = 8, 1 << 14
_ROWS = 512
"""Hashes that are compared with all others before their pairs are given out."""

_FEWEST_BANDS = 8
"""So that a band has at most 32 bits."""
_SAMPLE = 1000
_CANDIDATE_COST = 16
"""Of comparing a pair that shares a band, against a pair of the scan."""


@dataclass(frozen=True)
class NearPairs:
    """Pairs of images whose hashes are close; N pairs.

    Attributes:
        first, second: ``(N,)`` indices of the images, first < second, in ascending order of (first, second).
        distance: ``(N,)`` differing bits, 0 to 256.
    """

    first: NDArray[np.intp]
    second: NDArray[np.intp]
    distance: NDArray[np.intp]

    @classmethod
    def joined(cls, parts: Sequence[NearPairs]) -> NearPairs:
        """The pairs of all parts, in their order."""
        nothing = [np.empty(0, np.intp)]
        return cls(
            np.concatenate(nothing + [part.first for part in parts]),
            np.concatenate(nothing + [part.second for part in parts]),
            np.concatenate(nothing + [part.distance for part in parts]),
        )

    def chosen(self, which: NDArray[Any]) -> NearPairs:
        """The pairs of an index or of a mask ``(N,)``."""
        return NearPairs(self.first[which], self.second[which], self.distance[which])


def near_pairs(hashes: Sequence[NDArray[np.bool_]], max_distance: int) -> NearPairs:
    """All pairs of images whose hashes differ in at most ``max_distance`` bits.

    Args:
        hashes: ``difference_hash`` of each image, at least one.
        max_distance: in bits, 0 to 256.
    """
    return NearPairs.joined(list(near_pair_parts(hashes, max_distance)))


def near_pair_parts(hashes: Sequence[NDArray[np.bool_]], max_distance: int) -> Iterator[NearPairs]:
    """The pairs of ``near_pairs`` in parts, for a caller that cannot hold all of them."""
    bits = _informative_first(np.stack(hashes))
    packed = np.packbits(bits, axis=1).view(np.uint64)
    bands = _bands(bits.shape[1], max_distance)
    unlike, copies = _Copies.found(packed)
    if _bands_pay(unlike, bands):
        yield copies.expanded(_by_bands(unlike, bands, max_distance))
    else:
        yield from _by_scanning(packed, max_distance)


def _informative_first(bits: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The same bits of every hash, those that are 0 as often as 1 first.

    They are dealt to the bands in turn, so that no band is left with the bits that all hashes share.
    """
    return np.ascontiguousarray(bits[:, np.argsort(np.abs(bits.mean(axis=0) - 0.5), kind="stable")])


def _bands(bits: int, max_distance: int) -> list[NDArray[np.uint64]]:
    """Of each band, the packed masks of which one covers any pair that differs in at most one of its bits."""
    count = min(max(max_distance // 2 + 1, _FEWEST_BANDS), bits)
    bands = []
    for band in range(count):
        places = np.arange(band, bits, count)
        masks = np.zeros((len(places), bits), bool)
        masks[:, places] = True
        masks[np.arange(len(places)), places] = False
        bands.append(np.packbits(masks, axis=1).view(np.uint64))
    return bands


def _distance(packed: NDArray[np.uint64], first: NDArray[np.intp], second: NDArray[np.intp]) -> NDArray[Any]:
    return np.bitwise_count(packed[first] ^ packed[second]).sum(axis=1, dtype=np.intp)


def _near(
    packed: NDArray[np.uint64], first: NDArray[np.intp], second: NDArray[np.intp], max_distance: int
) -> NearPairs:
    distance = _distance(packed, first, second)
    near = distance <= max_distance
    return NearPairs(first[near], second[near], distance[near])


def _bands_pay(packed: NDArray[np.uint64], bands: Sequence[NDArray[np.uint64]]) -> bool:
    """Whether fewer pairs share a band than would make the scan the faster search, by a sample of hashes."""
    count = len(packed)
    rng = np.random.default_rng(0)
    sample = packed[rng.choice(count, min(count, _SAMPLE), replace=False)]
    first, second = np.triu_indices(len(sample), 1)
    differing = sample[first] ^ sample[second]
    shared = sum(int((~(differing & mask).any(axis=1)).sum()) for masks in bands for mask in masks[:1])
    candidates = shared / max(len(first), 1) * len(bands[0]) * count * (count - 1) / 2
    sorting = sum(map(len, bands)) * count * np.log2(max(count, 2))
    return bool(_CANDIDATE_COST * candidates + sorting < count * (count - 1) / 2)


def _neighbours(key: NDArray[Any]) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Yields all pairs of places with equal keys ``(N,)``."""
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    places, step = np.arange(len(key) - 1), 1
    while len(places):
        places = places[ordered[places] == ordered[places + step]]
        yield order[places], order[places + step]
        step += 1
        places = places[places + step < len(key)]


def _keys(packed: NDArray[np.uint64], mask: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """``(N,)`` numbers that are equal where the bits under the mask are: a multiplicative hash of them.

    Others may collide; their distance tells.
    """
    factors = np.array(
        [0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93], np.uint64
    )
    mixed = (packed & mask) * factors
    return np.bitwise_xor.reduce(mixed ^ (mixed >> np.uint64(29)), axis=1)


def _by_bands(
    packed: NDArray[np.uint64], bands: Sequence[NDArray[np.uint64]], max_distance: int
) -> NearPairs:
    found = np.empty(0, np.intp)
    for masks in bands:
        # A pair is found by most masks of most bands: it is kept once a band.
        of_band = [found]
        for mask in masks:
            for one, other in _neighbours(_keys(packed, mask)):
                near = _near(packed, np.minimum(one, other), np.maximum(one, other), max_distance)
                of_band.append(near.first * len(packed) + near.second)
        found = np.unique(np.concatenate(of_band))
    first, second = np.divmod(found, len(packed))
    return NearPairs(first, second, _distance(packed, first, second))


@dataclass(frozen=True)
class _Copies:
    """Which hashes are equal; N hashes, U of them unlike.

    Attributes:
        members: ``(N,)`` indices of the hashes, those of equal ones together.
        starts, counts: ``(U,)`` where those of each lie among the members, and how many they are.
    """

    members: NDArray[np.intp]
    starts: NDArray[np.intp]
    counts: NDArray[np.intp]

    @classmethod
    def found(cls, packed: NDArray[np.uint64]) -> tuple[NDArray[np.uint64], _Copies]:
        """The unlike ones of ``(N, W)`` hashes, ``(U, W)``, and where each occurs."""
        unlike, inverse, counts = np.unique(packed, axis=0, return_inverse=True, return_counts=True)
        return unlike, cls(np.argsort(inverse.ravel(), kind="stable"), np.cumsum(counts) - counts, counts)

    def expanded(self, pairs: NearPairs) -> NearPairs:
        """The pairs of all hashes, of those of the unlike ones."""
        own = np.flatnonzero(self.counts > 1)
        one, other = np.concatenate([pairs.first, own]), np.concatenate([pairs.second, own])
        distance = np.concatenate([pairs.distance, np.zeros(len(own), np.intp)])
        sizes = self.counts[one] * self.counts[other]
        pair = np.repeat(np.arange(len(one)), sizes)
        within = np.arange(len(pair)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        place, other_place = np.divmod(within, self.counts[other][pair])
        kept = (one != other)[pair] | (place < other_place)
        pair, place, other_place = pair[kept], place[kept], other_place[kept]
        ends = (
            self.members[self.starts[one[pair]] + place],
            self.members[self.starts[other[pair]] + other_place],
        )
        first, second = np.minimum(*ends), np.maximum(*ends)
        order = np.lexsort((second, first))
        return NearPairs(first[order], second[order], distance[pair][order])


def _by_scanning(packed: NDArray[np.uint64], max_distance: int) -> Iterator[NearPairs]:
    words = np.ascontiguousarray(packed[:, :_FIRST_WORDS].T)
    for start in range(0, len(packed), _ROWS):
        pairs = NearPairs.joined(
            [
                _near_in_tile(packed, words, row, column, max_distance)
                for row in range(start, min(start + _ROWS, len(packed)), _TILE_ROWS)
                for column in range(row // _TILE_COLUMNS * _TILE_COLUMNS, len(packed), _TILE_COLUMNS)
            ]
        )
        yield pairs.chosen(np.lexsort((pairs.second, pairs.first)))


def _near_in_tile(
    packed: NDArray[np.uint64], words: NDArray[np.uint64], row: int, column: int, max_distance: int
) -> NearPairs:
    """The pairs (first < second) of some rows and columns.

    Those that are close in their first words are compared tile by tile: of photographs that are framed alike
    these are a third of all.
    """
    rows, columns = words[:, row : row + _TILE_ROWS, None], words[:, None, column : column + _TILE_COLUMNS]
    distance = np.bitwise_count(rows[0] ^ columns[0])
    for word in range(1, len(words)):
        distance += np.bitwise_count(rows[word] ^ columns[word])
    first, second = np.divmod(np.flatnonzero(distance <= max_distance), columns.shape[2])
    first, second = first + row, second + column
    upper = first < second
    first, second = first[upper], second[upper]
    return _near(packed, first, second, max_distance)
