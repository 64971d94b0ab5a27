"""A learning curve: the same splits with fewer subjects to train on."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import replace

import pytest

from uml_tf.data.check import check_dataset
from uml_tf.study.fewer_subjects import trained_subjects, with_fewer_subjects
from uml_tf.study.folds import subject_of


@pytest.fixture
def paired(phantoms):
    """Rows of the phantoms, every two of one split and label of one subject; a third without a mask."""
    number = Counter()
    rows = []
    for index, row in enumerate(phantoms.rows):
        mask = "" if index % 3 == 0 else row.mask
        kind = (row.split, row.label, bool(mask))
        rows.append(replace(row, mask=mask, subject=f"{kind} {number[kind] // 2}"))
        number[kind] += 1
    return rows


def _of_strata(rows, subjects):
    """(label, has a mask) -> number of training subjects among those."""
    pairs = {(subject_of(r), r.label, bool(r.mask)) for r in rows if r.split == "train"}
    return Counter((label, masked) for subject, label, masked in pairs if subject in subjects)


def test_every_stratum_keeps_its_share_and_a_larger_share_holds_the_smaller_one(paired):
    whole = trained_subjects(paired, 1, 0)
    half, quarter = trained_subjects(paired, 0.5, 0), trained_subjects(paired, 0.25, 0)
    assert quarter < half < whole
    assert whole == {subject_of(row) for row in paired if row.split == "train"}
    every = _of_strata(paired, whole)
    assert len(every) > 2
    for stratum, count in every.items():
        assert _of_strata(paired, half)[stratum] == pytest.approx(count / 2, abs=0.5)
    assert all(_of_strata(paired, trained_subjects(paired, 1e-6, 0)).values())


def test_the_choice_depends_on_its_seed(paired):
    assert trained_subjects(paired, 0.5, 3) == trained_subjects(paired, 0.5, 3)
    assert trained_subjects(paired, 0.5, 3) != trained_subjects(paired, 0.5, 4)


def test_a_subject_with_several_kinds_of_image_counts_as_such(paired):
    mixed = [replace(row, subject=row.subject.replace("True", "").replace("False", "")) for row in paired]
    kept = trained_subjects(mixed, 0.5, 0)
    kinds = {}
    for row in mixed:
        if row.split == "train":
            kinds.setdefault(subject_of(row), set()).add((row.label, bool(row.mask)))
    every = Counter(frozenset(found) for found in kinds.values())
    assert max(map(len, every)) == 2
    found = Counter(frozenset(kinds[subject]) for subject in kept)
    assert found == {kind: pytest.approx(count / 2, abs=0.5) for kind, count in every.items()}


def test_only_training_images_are_left_out_and_the_folder_is_a_data_set(phantoms, tmp_path):
    half = with_fewer_subjects(phantoms, 0.5, 0, tmp_path / "folds", "fold2of3-share0.5")
    assert not check_dataset(half).problems
    assert "-fold2of3-share0.5-" in half.root.name
    assert len(half.split("train")) == pytest.approx(len(phantoms.split("train")) / 2, abs=2)
    for split in ("val", "test"):
        assert half.split(split) == phantoms.split(split)
    assert set(half.rows) < set(phantoms.rows)
    header = next(csv.reader((half.root / "manifest.csv").open()))
    assert header == next(csv.reader((phantoms.root / "manifest.csv").open()))
    again = with_fewer_subjects(phantoms, 0.5, 0, tmp_path / "folds", "fold2of3-share0.5")
    assert again.root == half.root


def test_a_share_that_leaves_out_nobody_is_the_data_set_itself(phantoms, tmp_path):
    assert with_fewer_subjects(phantoms, 0.999, 0, tmp_path / "folds", "share") is phantoms
    assert not (tmp_path / "folds").exists()
