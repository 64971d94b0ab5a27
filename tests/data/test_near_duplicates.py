from __future__ import annotations

import tracemalloc

import cv2
import numpy as np
import pytest

from uml_tf.data import hash_pairs
from uml_tf.data.hash_pairs import NearPairs, near_pairs
from uml_tf.data.image_detail import detail_correlations, pair_correlations
from uml_tf.data.near_duplicates import (
    PHOTOGRAPH_DISTANCE,
    difference_hash,
    linked_groups,
    near_duplicates,
    signature,
)
from uml_tf.runtime.images import read_image


def _hashes(count):
    return list(np.random.default_rng(0).random((count, 256)) > 0.5)


def _all_pairs(hashes, distance):
    """Each compared with each."""
    bits = np.stack(hashes).astype(np.float32)
    differing = (bits @ (1 - bits.T) + (1 - bits) @ bits.T).astype(int)
    first, second = np.nonzero(np.triu(differing <= distance, 1))
    return first.tolist(), second.tolist(), differing[first, second].tolist()


def _with_copies(hashes):
    """Hashes, of which the first 60 are repeated at the end with up to 59 bits flipped."""
    rng = np.random.default_rng(1)
    copies = [bits.copy() for bits in hashes[:60]]
    for flipped, copy in enumerate(copies):
        copy[rng.choice(256, flipped, replace=False)] ^= True
    return [*hashes, *copies]


def _found(pairs):
    return pairs.first.tolist(), pairs.second.tolist(), pairs.distance.tolist()


@pytest.mark.parametrize("distance", [0, 1, 23, 24, 48, 120])
def test_both_searches_find_the_pairs_of_all_with_all(distance):
    alike = np.random.default_rng(2).random((600, 256)) < 0.05  # as of photographs in one frame
    assert _found(near_pairs(list(alike), distance)) == _all_pairs(list(alike), distance)
    hashes = _with_copies(_hashes(700))
    expected = _all_pairs(hashes, distance)
    assert _found(near_pairs(hashes, distance)) == expected
    packed = np.packbits(np.stack(hashes), axis=1).view(np.uint64)
    if distance <= 48:  # more makes the bands so narrow that most hashes share one
        by_bands = hash_pairs._by_bands(packed, hash_pairs._bands(256, distance), distance)
        assert _found(by_bands) == expected
    scanned = NearPairs.joined(list(hash_pairs._by_scanning(packed, distance)))
    assert _found(scanned) == expected


def test_copies_of_a_hash_are_paired_as_any_others():
    hashes = _with_copies(_hashes(400))
    order = np.random.default_rng(4).permutation(
        np.repeat(np.arange(len(hashes)), [9] * 5 + [1] * (len(hashes) - 5))
    )
    crowded = [hashes[place] for place in order]
    for distance in (0, 1, 24):
        assert _found(near_pairs(crowded, distance)) == _all_pairs(crowded, distance)


def test_many_copies_take_little_more_than_their_pairs():
    """Black frames, for instance; a pair was kept once for each of 260 masks that find it."""
    hashes = np.stack(_hashes(20_000))
    hashes[::40] = hashes[0]
    tracemalloc.start()
    pairs = near_pairs(list(hashes), 24)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(pairs.first) == 500 * 499 // 2
    assert peak < 100e6


def test_the_scan_of_photographs_in_one_frame_holds_no_candidates():
    """A third of all pairs are close in their first words: 6 million of these."""
    alike = np.random.default_rng(5).random((6000, 256)) < 0.12
    alike[100] = alike[5000]
    tracemalloc.start()
    pairs = near_pairs(list(alike), 24)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (100, 5000) in zip(pairs.first, pairs.second, strict=True)
    assert peak < 60e6


def test_the_search_by_bands_serves_spread_hashes_and_the_scan_crowded_ones():
    def by_bands(bits, distance):
        packed = np.packbits(bits, axis=1).view(np.uint64)
        return hash_pairs._bands_pay(packed, hash_pairs._bands(256, distance))

    spread = np.stack(_hashes(20_000))
    crowded = np.random.default_rng(2).random((20_000, 256)) < 0.05
    assert [by_bands(*case) for case in ((spread, 24), (spread, 48), (crowded, 24))] == [True, False, False]


def test_details_of_single_pairs_are_those_of_the_matrix():
    rng = np.random.default_rng(3)
    details = list(rng.normal(0, 0.5, (120, 36, 36)).astype(np.float16))
    details[5] = np.zeros((36, 36), np.float16)
    matrix = detail_correlations(details, details)
    first, second = np.triu_indices(120, 1)
    dense = NearPairs(first, second, first)
    np.testing.assert_allclose(pair_correlations(details, dense), matrix[first, second], atol=1e-6)
    single = NearPairs(np.arange(119), np.arange(1, 120), first)
    np.testing.assert_allclose(pair_correlations(details, single), np.diagonal(matrix, 1), atol=1e-6)


def test_groups_are_transitive_and_follow_known_names():
    hashes = _hashes(8)
    for index in (1, 2):  # a chain: 0 and 2 are too far apart to be a pair
        hashes[index] = hashes[index - 1].copy()
        hashes[index][index * 20 : index * 20 + 20] ^= True
    pairs = near_pairs(hashes, 24)
    assert len(pairs.first) == 2
    groups = linked_groups(8, pairs, ["", "", "", "a", "", "a", "", ""], ["", "", "x", "", "", "x", "", ""])
    assert groups.tolist() == [0, 0, 0, 0, 1, 0, 2, 3]
    assert linked_groups(3, None).tolist() == [0, 1, 2]


def test_hash_bears_a_cursor_and_tells_pictures_apart():
    rng = np.random.default_rng(1)
    one, other = (
        np.kron(rng.integers(0, 255, (12, 12, 3)), np.ones((10, 10, 1))).astype(np.uint8) for _ in "ab"
    )
    marked = one.copy()
    marked[:4, :4] = 255
    assert (difference_hash(one) != difference_hash(marked)).sum() < 10
    assert (difference_hash(one) != difference_hash(other)).sum() > 60


def _eye(seed):
    """A made-up photograph: every eye in the same bright circle, with vessels of its own."""
    rng = np.random.default_rng(seed)
    image = np.zeros((120, 180, 3), np.uint8)
    cv2.circle(image, (90, 60), 62, (200, 120, 60), -1)
    for _ in range(14):
        points = np.cumsum(rng.normal(0, 14, (6, 2)), axis=0) + rng.uniform((40, 20), (140, 100))
        cv2.polylines(image, [points.astype(np.int32)], False, (140, 40, 20), 2)
    return cv2.GaussianBlur(image, (0, 0), 1)


def test_photographs_in_the_same_frame_are_no_near_duplicates_and_repeats_are():
    eyes = [_eye(seed) for seed in range(30)]
    moved = cv2.warpAffine(eyes[3], np.float32([[1, 0, 5], [0, 1, -3]]), (180, 120))
    darker = (eyes[7] * 0.7).astype(np.uint8)
    signatures = [signature(image) for image in (*eyes, moved, darker)]
    by_hash = near_pairs([one.hash for one in signatures], 100)
    assert len(by_hash.first) > 20
    pairs = near_duplicates(signatures, 100)
    assert set(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)) == {(3, 30), (7, 31)}


def test_images_without_detail_are_told_by_the_hash_alone():
    grey = [np.full((60, 60, 3), value, np.uint8) for value in (90, 90, 140)]
    signatures = [signature(image) for image in grey]
    details = [one.detail for one in signatures]
    assert (detail_correlations(details, details) == 1).all()
    assert len(near_duplicates(signatures, 256).first) == 3


def test_real_fundus_photographs_are_paired_by_eye_and_not_by_frame(origa_raw):
    """The eight pairs show one eye each; they were told by eye, and have neighbouring numbers."""
    paths = sorted((origa_raw / "images").glob("*.jpg"))
    signatures = [signature(read_image(path)) for path in paths]
    assert len(near_pairs([one.hash for one in signatures], 24).first) > 10_000
    pairs = near_duplicates(signatures, PHOTOGRAPH_DISTANCE)
    found = {(paths[i].stem, paths[j].stem) for i, j in zip(pairs.first, pairs.second, strict=True)}
    assert found == {
        ("023", "024"),
        ("026", "027"),
        ("036", "037"),
        ("050", "052"),
        ("158", "159"),
        ("169", "170"),
        ("180", "181"),
        ("300", "301"),
    }
