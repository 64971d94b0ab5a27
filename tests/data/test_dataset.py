from __future__ import annotations

import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest

from uml_tf.data.check import check_dataset
from uml_tf.data.dataset import PreparedDataset, write_dataset
from uml_tf.data.splits import stratified_group_split
from uml_tf.runtime.errors import UmlError


@pytest.fixture
def copy(phantoms, tmp_path):
    return shutil.copytree(phantoms.root, tmp_path / "copy")


def _replace(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def _problems(folder):
    return check_dataset(PreparedDataset.open(folder)).problems


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("manifest.csv", ",train,", ",training,", "split: found 'training'"),
        ("manifest.csv", "image,mask", "picture,mask", "missing image"),
        ("manifest.csv", "images/00000.jpg", "../00000.jpg", "expected a path inside"),
        ("dataset.yaml", "pixel_classes", "pixels", "pixel_classes: missing"),
        ("dataset.yaml", "name:", "- name", "not valid YAML"),
    ],
)
def test_bad_files_are_refused_by_name(copy, file, old, new, message):
    _replace(copy / file, old, new)
    with pytest.raises(UmlError) as caught:
        PreparedDataset.open(copy)
    assert file in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize("grades", ["4", "4 1 0 0", "4 -1", "4.0 1", "many few", "0 0"])
def test_grades_that_are_no_counts_are_one_line(copy, grades):
    dataset = PreparedDataset.open(copy)
    classes = dataset.info.image_classes
    rows = [replace(dataset.rows[0], grades=" ".join(map(str, range(len(classes))))), *dataset.rows[1:]]
    found = write_dataset(copy, dataset.info, rows)
    assert found.rows[0].grade_counts == tuple(range(len(classes)))
    with pytest.raises(UmlError) as caught:
        write_dataset(copy, dataset.info, [replace(rows[0], grades=grades), *rows[1:]])
    line = f"manifest.csv: line 2: grades: found '{grades}', expected how many experts gave each of"
    assert line in str(caught.value)


def test_missing_data_set(tmp_path):
    with pytest.raises(UmlError, match="no such file, expected a prepared data set"):
        PreparedDataset.open(tmp_path)


def test_check_finds_a_missing_image(copy):
    (copy / "images/00003.jpg").unlink()
    assert any("00003.jpg: no such file" in p for p in _problems(copy))


def test_check_finds_a_mask_of_another_size(copy):
    cv2.imwrite(str(copy / "masks/00004.png"), np.zeros((5, 5), np.uint8))
    assert any("00004.png: found 5 x 5 pixels, expected 96 x 96" in p for p in _problems(copy))


def test_check_finds_a_pixel_value_that_is_no_class(copy):
    cv2.imwrite(str(copy / "masks/00004.png"), np.full((96, 96), 128, np.uint8))
    assert any("found pixel value 128, expected class indices 0 to 2" in p for p in _problems(copy))


def test_check_finds_an_unknown_label(copy):
    _replace(copy / "manifest.csv", ",healthy,", ",ill,")
    assert any("label: found 'ill'" in p for p in _problems(copy))


def test_check_finds_a_divided_subject_and_a_repeated_image(copy):
    rows = PreparedDataset.open(copy).rows
    train = next(r for r in rows if r.split == "train")
    test = next(r for r in rows if r.split == "test")
    _replace(copy / "manifest.csv", test.subject, train.subject)
    shutil.copy(copy / train.image, copy / test.image)
    report = check_dataset(PreparedDataset.open(copy))
    (problem,) = report.problems
    assert f"subject '{train.subject}' is on several splits: train has" in problem
    (pair,) = report.near_duplicates
    assert (pair.first.split, pair.second.split, pair.distance) == ("train", "test", 0)
    assert (pair.first.image, pair.second.image) == (train.image, test.image)


def test_check_lists_the_closest_pairs_first_and_by_the_distance(copy):
    def near(distance):
        # Phantoms are no copies of each other: only the hash finds pairs.
        dataset = PreparedDataset.open(copy)
        return check_dataset(dataset, distance, near_duplicate_detail=-1).near_duplicates

    pairs = near(60)
    distances = [pair.distance for pair in pairs]
    assert distances == sorted(distances)
    assert len(pairs) > 3
    assert all(pair.first.split != pair.second.split for pair in pairs)
    fewer = near(distances[1])
    assert len(fewer) == distances.count(distances[0]) + distances.count(distances[1]) * (
        distances[0] != distances[1]
    )
    assert check_dataset(PreparedDataset.open(copy), near_duplicate_distance=60).near_duplicates == []


@pytest.mark.parametrize(
    ("kept", "note"),
    [
        (("train", "val", "test"), []),
        (("test",), ["no image is on train or val: the data set is for measuring alone"]),
        (("train", "val"), ["no image is on test: the data set is for training alone"]),
    ],
)
def test_check_notes_what_a_data_set_without_some_splits_is_for(copy, kept, note):
    lines = (copy / "manifest.csv").read_text().splitlines(keepends=True)
    (copy / "manifest.csv").write_text(
        "".join([lines[0], *(line for line in lines[1:] if line.split(",")[3] in kept)])
    )
    report = check_dataset(PreparedDataset.open(copy))
    assert (report.problems, report.notes) == ([], note)


def test_a_union_of_unknown_pixel_classes_is_refused(copy):
    _replace(copy / "dataset.yaml", "- rim\n  - cup", "- rim\n  - cups")
    with pytest.raises(UmlError, match=r"dataset.yaml: unions.disc: found 'cups', expected pixel classes"):
        PreparedDataset.open(copy)


def test_fingerprint_sees_a_changed_pixel(copy, phantoms):
    assert PreparedDataset.open(copy).fingerprint == phantoms.fingerprint
    path = copy / "masks/00000.png"
    mask = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    mask[0, 0] = 1
    cv2.imwrite(str(path), mask)
    assert PreparedDataset.open(copy).fingerprint != phantoms.fingerprint


def test_splits_are_stratified_and_divide_no_subject():
    rng = np.random.default_rng(0)
    subjects = [f"s{i}" for i in rng.integers(0, 150, 400)]
    strata = [f"c{i}" for i in rng.choice(3, 400, p=[0.6, 0.3, 0.1])]
    splits = stratified_group_split(strata, subjects, (0.6, 0.2, 0.2), seed=1)
    of_subject = {}
    for subject, split in zip(subjects, splits, strict=True):
        assert of_subject.setdefault(subject, split) == split
    for stratum in ("c0", "c1", "c2"):
        members = [s for s, t in zip(splits, strata, strict=True) if t == stratum]
        assert members.count("train") / len(members) == pytest.approx(0.6, abs=0.06)
        assert members.count("test") / len(members) == pytest.approx(0.2, abs=0.06)
    assert splits == stratified_group_split(strata, subjects, (0.6, 0.2, 0.2), seed=1)


def test_a_share_of_zero_leaves_a_split_empty():
    splits = stratified_group_split(["a", "b"] * 20, [f"s{i // 2}" for i in range(40)], (0.0, 0.0, 1.0))
    assert set(splits) == {"test"}


def test_training_tells_a_wrong_path_before_tensorflow_is_imported(run_python, tmp_path):
    script = """\
import sys
from uml_tf.cli.main import main
try:
    main(["train", "--data", "none"])
except SystemExit as ended:
    print(ended.code, "tensorflow" in sys.modules)
"""
    output, errors = run_python("-c", script, cwd=tmp_path)
    assert output == "1 False\n"
    line = "none/dataset.yaml: no such file, expected a prepared data set (see `uml-tf data --help`)"
    assert errors == f"uml-tf: {line}\n"


def test_files_are_hashed_once_with_a_stage(phantoms):
    dataset, stages = PreparedDataset.open(phantoms.root), []

    def stage(name, total):
        stages.append([total])
        return stages[-1].append

    dataset.hash_files(stage)
    dataset.hash_files(stage)
    ((total, *done),) = stages
    assert done[-1] == total == len(dataset.file_digests)
    assert dataset.fingerprint == phantoms.fingerprint
