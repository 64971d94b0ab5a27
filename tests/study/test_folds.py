"""Folds of a prepared data set: divided by subject, each a prepared data set of its own."""

from __future__ import annotations

import csv
import shutil
from collections import Counter, defaultdict
from dataclasses import replace

import pytest
import yaml

from uml_tf.data.check import check_dataset
from uml_tf.data.dataset import PreparedDataset
from uml_tf.runtime.errors import UmlError
from uml_tf.study.folds import Division, divide, fold_datasets

DIVISION = Division(folds=3, seed=0, validation_share=0.2)


@pytest.fixture
def grouped(phantoms, tmp_path):
    """Phantoms whose images come in pairs of one subject, some without a subject; with one more column."""
    folder = shutil.copytree(phantoms.root, tmp_path / "set")
    rows = list(csv.DictReader((folder / "manifest.csv").open()))
    for number, row in enumerate(rows):
        row["subject"] = f"patient {number // 2}" if number < 40 else ""
        row["camera"] = f"camera {number % 2}"
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return PreparedDataset.open(folder)


def test_every_image_is_tested_once_and_no_subject_is_divided(grouped):
    splits = divide(grouped.rows, DIVISION)
    assert len(splits) == 3
    for place in range(len(grouped.rows)):
        assert sum(fold[place] == "test" for fold in splits) == 1
    for fold in splits:
        assert set(fold) == {"train", "val", "test"}
        where = defaultdict(set)
        for row, split in zip(grouped.rows, fold, strict=True):
            if row.subject:
                where[row.subject].add(split)
        assert all(len(found) == 1 for found in where.values())
        counts = Counter(fold)
        assert counts["val"] / (counts["val"] + counts["train"]) == pytest.approx(0.2, abs=0.06)


def test_every_test_part_has_its_share_of_every_label_with_and_without_mask(grouped):
    rows = [replace(row, mask="") if i % 3 == 0 else row for i, row in enumerate(grouped.rows)]
    _check_shares(rows, lambda row: (row.label, bool(row.mask)))


def test_every_test_part_has_its_share_of_every_source(grouped):
    rows = [replace(row, dataset="few" if i < 12 else "many") for i, row in enumerate(grouped.rows)]
    _check_shares(rows, lambda row: row.dataset)


def _check_shares(rows, stratum_of):
    overall = Counter(map(stratum_of, rows))
    for fold in divide(rows, DIVISION):
        found = Counter(stratum_of(row) for row, split in zip(rows, fold, strict=True) if split == "test")
        for stratum, count in overall.items():
            assert abs(found[stratum] - count / 3) <= 4


def test_the_division_depends_on_its_seed_alone(grouped):
    assert divide(grouped.rows, DIVISION) == divide(grouped.rows, DIVISION)
    assert divide(grouped.rows, DIVISION) != divide(grouped.rows, replace(DIVISION, seed=1))


def test_a_fold_is_a_sound_data_set_with_links_instead_of_copies(grouped, tmp_path):
    before = (grouped.root / "manifest.csv").read_bytes()
    folds = fold_datasets(grouped, DIVISION, tmp_path / "folds")
    for fold in folds:
        assert not check_dataset(fold).problems
        assert (fold.root / "images").is_symlink()
        records = list(csv.DictReader((fold.root / "manifest.csv").open()))
        assert [record["camera"] for record in records] == [f"camera {i % 2}" for i in range(len(records))]
        same = [replace(row, split="") for row in fold.rows] == [
            replace(row, split="") for row in grouped.rows
        ]
        assert same
    assert len({fold.fingerprint for fold in folds} | {grouped.fingerprint}) == 4
    assert (grouped.root / "manifest.csv").read_bytes() == before


def test_the_same_folds_are_opened_again_and_other_contents_have_other_folders(grouped, tmp_path):
    folder = tmp_path / "folds"
    first = fold_datasets(grouped, DIVISION, folder)
    written = {path: path.stat().st_mtime_ns for path in folder.iterdir() if path.is_dir()}
    again = fold_datasets(grouped, DIVISION, folder)
    assert [fold.root for fold in again] == [fold.root for fold in first]
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir() if path.is_dir()} == written
    info = yaml.safe_load((grouped.root / "dataset.yaml").read_text())
    (grouped.root / "dataset.yaml").write_text(yaml.safe_dump({**info, "source": "another one"}))
    changed = fold_datasets(PreparedDataset.open(grouped.root), DIVISION, folder)
    assert not {fold.root for fold in changed} & {fold.root for fold in first}


def test_too_few_subjects_are_one_line(phantoms):
    rows = [replace(row, subject=f"patient {i % 2}") for i, row in enumerate(phantoms.rows)]
    with pytest.raises(UmlError, match=r"^folds: found 2 subjects for 3 folds, expected at least 3$"):
        divide(rows, DIVISION)
