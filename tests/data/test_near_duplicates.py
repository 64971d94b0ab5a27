from __future__ import annotations

import cv2
import numpy as np

from uml_tf.data.near_duplicates import (
    PHOTOGRAPH_DISTANCE,
    detail_correlations,
    difference_hash,
    linked_groups,
    near_duplicates,
    near_pairs,
    signature,
)
from uml_tf.runtime.images import read_image


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
    assert (detail_correlations(signatures, signatures) == 1).all()
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
