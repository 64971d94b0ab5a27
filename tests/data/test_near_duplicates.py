from __future__ import annotations

import numpy as np

from uml_tf.data.near_duplicates import difference_hash, linked_groups, near_pairs


def _hashes(count):
    return list(np.random.default_rng(0).random((count, 256)) > 0.5)


def test_pairs_are_those_of_a_plain_double_loop():
    hashes = _hashes(1100)  # more than one block
    for copy, original, flipped in ((3, 900, 5), (1050, 2, 24), (1099, 1098, 25)):
        hashes[copy] = hashes[original].copy()
        hashes[copy][:flipped] ^= True
    pairs = near_pairs(hashes, 24)
    found = set(zip(pairs.first.tolist(), pairs.second.tolist(), pairs.distance.tolist(), strict=True))
    assert found == {(3, 900, 5), (2, 1050, 24)}


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
