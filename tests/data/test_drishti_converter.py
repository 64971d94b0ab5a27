"""The converter of Drishti-GS1, on small files in the published layouts and on the real folder."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from raw_files import box, by_stem, convert_raw, is_sound, photo, splits, write

from uml_tf.data.agreement import decode_agreement, encode_agreement
from uml_tf.data.check import check_dataset
from uml_tf.data.converters.drishti import mask_and_agreement
from uml_tf.data.dataset import PreparedDataset
from uml_tf.data.masks import read_mask
from uml_tf.data.raw.fundus import CLASSES
from uml_tf.data.reading import read_agreement
from uml_tf.runtime.cup_to_disc import vertical_cup_to_disc_ratio
from uml_tf.runtime.errors import UmlError


def _drishti(raw, part, numbers, folders=False):
    gt = {"Training": "GT", "Test": "Test_GT"}[part]
    for n in numbers:
        name = f"drishtiGS_{n:03d}"
        folder = ("GLAUCOMA", "NORMAL")[n % 2] if folders else ""
        write(raw / part / "Images" / folder / f"{name}.png", photo(n))
        disc = box(5, 30, 5, 35) // 2 + box(8, 27, 8, 30, 64)  # 127 and 191: two and three of four
        cup = box(10, 20, 10, 20, 128) + box(30, 38, 40, 48, 255)  # a cup outside the disc
        soft = raw / part / gt / name / "SoftMap"
        write(soft / f"{name}_ODsegSoftmap.png", disc)
        write(soft / f"{name}_cupsegSoftmap.png", cup)


def test_drishti_majority_and_agreement(tmp_path):
    raw = tmp_path / "raw"
    _drishti(raw, "Training", range(1, 13))
    (raw / "labels.csv").write_text(
        "image,label\n"
        + "".join(f"drishtiGS_{n:03d}.png,{('normal', 'glaucoma')[n % 2]}\n" for n in range(1, 13))
    )
    dataset, problems = convert_raw("drishti", raw, tmp_path / "out")
    assert problems == []
    assert is_sound(dataset)
    assert len(splits(dataset)) == 3  # there is no test folder: drawn
    row = by_stem(dataset)["drishtiGS_003"]
    assert row.label == "glaucoma"
    mask = read_mask(dataset.root / row.mask)
    assert (mask == 2).sum() == 100
    assert (mask == 1).sum() == 25 * 30 - 100
    assert row.agreement == "agreement/drishtiGS_003.png"
    shares = read_agreement(dataset, row)
    np.testing.assert_allclose(shares.sum(axis=-1), 1, atol=1e-6)
    np.testing.assert_allclose(shares[0, 0], (1, 0, 0))
    np.testing.assert_allclose(shares[6, 6], (0.5, 0.5, 0), atol=0.004)
    np.testing.assert_allclose(shares[22, 22], (0.25, 0.75, 0), atol=0.004)
    np.testing.assert_allclose(shares[15, 15], (0.25, 0.25, 0.5), atol=0.004)


def test_drishti_published_test_split_and_class_folders(tmp_path):
    raw = tmp_path / "raw"
    _drishti(raw, "Training", range(1, 13), folders=True)
    _drishti(raw, "Test", range(13, 19), folders=True)
    dataset, _ = convert_raw("drishti", raw, tmp_path / "out")
    rows = by_stem(dataset)
    assert {stem for stem, row in rows.items() if row.split == "test"} == {
        f"drishtiGS_{n:03d}" for n in range(13, 19)
    }
    assert splits(dataset)["val"] >= 1
    assert rows["drishtiGS_014"].label == "glaucoma"
    anew, _ = convert_raw("drishti", raw, tmp_path / "anew", new_split=True)
    assert {row.split for row in anew.rows if row.image > "images/drishtiGS_012.png"} != {"test"}


def test_drishti_without_maps_or_labels(tmp_path):
    raw = tmp_path / "raw"
    _drishti(raw, "Training", range(1, 13))
    for n in (2, 3):
        (raw / f"Training/GT/drishtiGS_{n:03d}/SoftMap/drishtiGS_{n:03d}_cupsegSoftmap.png").unlink()
    write(
        raw / "Training/GT/drishtiGS_003/SoftMap/drishtiGS_003_cupsegSoftmap.png",
        box(1, 2, 1, 2, size=(9, 9)),
    )
    dataset, problems = convert_raw("drishti", raw, tmp_path / "out")
    assert len(dataset.rows) == 10
    assert "drishtiGS_002.png: found neither label nor mask" in problems[0]
    assert "drishtiGS_003_cupsegSoftmap.png: found another size" in problems[1]
    with pytest.raises(UmlError, match=r"found no drishtiGS_N.png"):
        convert_raw("drishti", raw / "Training/GT/drishtiGS_002/SoftMap", tmp_path / "no")


def _graded(raw, experts, **grades):
    """The photographs 1 to 12 with a label each, and the experts' grades of some."""
    _drishti(raw, "Training", range(1, 13))
    names = [f"drishtiGS_{n:03d}" for n in range(1, 13)]
    none = "," * (len(experts) - 1)
    lines = [f"{name}.png,{CLASSES[n % 2]},{grades.get(name, none)}" for n, name in enumerate(names)]
    (raw / "labels.csv").write_text("\n".join([f"image,label,{','.join(experts)}", *lines]))


def test_drishti_keeps_how_many_experts_gave_each_class(tmp_path):
    experts = [f"expert{n}" for n in range(1, 6)]
    grades = {"drishtiGS_001": "1,0,0,0,0", "drishtiGS_002": "1,1,1,1,1", "drishtiGS_003": ",0,,1,1"}
    _graded(tmp_path / "raw", experts, **grades)
    dataset, problems = convert_raw("drishti", tmp_path / "raw", tmp_path / "out")
    assert problems == []
    assert is_sound(dataset)
    rows = by_stem(dataset)
    assert rows["drishtiGS_001"].grades == "4 1"
    assert rows["drishtiGS_001"].grade_counts == (4, 1)  # in the order of the classes: normal, glaucoma
    assert rows["drishtiGS_002"].grade_counts == (0, 5)
    assert rows["drishtiGS_003"].grade_counts == (1, 2)
    assert rows["drishtiGS_004"].grade_counts == ()
    header = (dataset.root / "manifest.csv").read_text().splitlines()[0]
    assert header == "image,mask,label,split,subject,agreement,grades"


def test_drishti_without_grades_has_no_column_of_them(tmp_path):
    _drishti(tmp_path / "raw", "Training", range(1, 13), folders=True)
    dataset, problems = convert_raw("drishti", tmp_path / "raw", tmp_path / "out")
    assert problems == []
    assert "grades" not in (dataset.root / "manifest.csv").read_text().splitlines()[0]
    assert {row.grade_counts for row in dataset.rows} == {()}


def test_a_grade_that_is_none_is_one_line_and_the_photograph_is_kept(tmp_path):
    _graded(tmp_path / "raw", ["expert1", "expert2"], drishtiGS_001="1,2", drishtiGS_002="1,1")
    dataset, (problem,) = convert_raw("drishti", tmp_path / "raw", tmp_path / "out")
    line = "labels.csv: drishtiGS_001.png: expert2: found '2', expected 0 (normal) or 1 (glaucoma)"
    assert line in problem
    rows = by_stem(dataset)
    assert (rows["drishtiGS_001"].label, rows["drishtiGS_001"].grades) == ("normal", "")
    assert rows["drishtiGS_002"].grades == "0 2"
    with pytest.raises(UmlError, match="expert2: found '2'"):
        convert_raw("drishti", tmp_path / "raw", tmp_path / "no", strict=True)


def test_agreement_is_kept_to_a_255th():
    rng = np.random.default_rng(0)
    votes = rng.multinomial(5, (0.5, 0.3, 0.2), (30, 20))
    back = decode_agreement(encode_agreement(votes / 5), 3)
    assert np.abs(back - votes / 5).max() < 1 / 250
    np.testing.assert_array_equal(np.rint(5 * back), votes)
    two = decode_agreement(encode_agreement(np.dstack([votes[..., 0], 5 - votes[..., 0]]) / 5), 2)
    assert two.shape == (30, 20, 2)


def test_more_experts_for_the_cup_than_for_the_disc_are_cut():
    mask, shares = mask_and_agreement(np.array([[1, 3]], np.uint8), np.array([[4, 4]], np.uint8))
    assert mask.tolist() == [[0, 2]]
    np.testing.assert_allclose(shares, [[[0.75, 0, 0.25], [0.25, 0, 0.75]]])


def test_real_drishti(real_drishti, drishti_raw):
    dataset, problems = real_drishti
    assert problems == []
    assert Counter(row.label for row in dataset.rows) == {"glaucoma": 32, "normal": 18}
    assert all(row.mask and row.agreement for row in dataset.rows)
    assert is_sound(dataset)
    # Every one of them was graded by five experts, and has the label that most of them gave.
    assert {sum(row.grade_counts) for row in dataset.rows} == {5}
    assert all(dataset.label_index(row) == np.argmax(row.grade_counts) for row in dataset.rows)
    assert Counter(max(row.grade_counts) for row in dataset.rows) == {5: 26, 4: 21, 3: 3}
    ratios, experts = [], []
    for row in dataset.rows:
        mask = read_mask(dataset.root / row.mask)
        assert set(np.unique(mask)) == {0, 1, 2}
        ratios.append(vertical_cup_to_disc_ratio(mask, dataset.info.pixel_classes))
        name = row.image.split("/")[-1][:-4]
        values = (drishti_raw / "Training/GT" / name / f"{name}_cdrValues.txt").read_text().split()
        experts.append(np.mean([float(value) for value in values]))
    assert np.abs(np.array(ratios) - experts).mean() < 0.04
    assert len({row.subject for row in dataset.rows}) == 50  # no photograph is taken for another's copy


def test_the_agreement_column_is_checked(tmp_path):
    raw = tmp_path / "raw"
    _drishti(raw, "Training", range(1, 13), folders=True)
    dataset, _ = convert_raw("drishti", raw, tmp_path / "out")
    before = dataset.fingerprint
    write(dataset.root / dataset.rows[0].agreement, photo(1, (20, 20)))
    changed = PreparedDataset.open(dataset.root)
    (problem,) = check_dataset(changed).problems
    assert (
        f"{dataset.rows[0].agreement}: found an array of shape (20, 20, 3), expected (40, 50, 3)" in problem
    )
    assert changed.fingerprint != before
