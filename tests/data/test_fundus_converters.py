"""The converters of fundus photographs, on small files in the published layouts and on real folders."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
from raw_files import box, by_stem, convert_raw, mask_of, photo, write

from uml_tf.data.agreement import decode_agreement, encode_agreement
from uml_tf.data.check import check_dataset
from uml_tf.data.converters.drishti import mask_and_agreement
from uml_tf.data.dataset import PreparedDataset
from uml_tf.data.masks import read_mask
from uml_tf.data.raw.fundus import CLASSES
from uml_tf.data.reading import read_agreement
from uml_tf.runtime.cup_to_disc import vertical_cup_to_disc_ratio
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.regions import ANY_REGION_PIXEL


def _splits(dataset):
    return Counter(row.split for row in dataset.rows)


def _sound(dataset):
    return check_dataset(dataset).problems == []


# Drishti-GS1


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
    assert _sound(dataset)
    assert len(_splits(dataset)) == 3  # there is no test folder: drawn
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
    assert _splits(dataset)["val"] >= 1
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
    assert _sound(dataset)
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
    assert _sound(dataset)
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


# ORIGA


@pytest.fixture
def origa(tmp_path):
    raw = tmp_path / "raw"
    lines = ["image,label,vertical_cup_to_disc_ratio,disc_cx,disc_cy,disc_rx,disc_ry,disc_theta"]
    for n in range(1, 13):
        write(raw / f"images/{n:03d}.jpg", photo(n))
        lines.append(f"{n:03d}.jpg,{('normal', 'glaucoma')[n % 2]},0.5,25,20,10,6,0.3")
    (raw / "labels.csv").write_text("\n".join(lines))
    return raw


def test_origa_is_labels_only_by_default(origa, tmp_path):
    dataset, problems = convert_raw("origa", origa, tmp_path / "out")
    assert problems == []
    assert _sound(dataset)
    assert not any(row.mask for row in dataset.rows)
    assert dataset.info.pixel_classes == ("background", "rim", "cup")
    assert by_stem(dataset)["001"].label == "glaucoma"
    assert {row.ratio for row in dataset.rows} == {0.5}


def test_origa_ratio_that_is_no_ratio_is_left_out(origa, tmp_path):
    table = origa / "labels.csv"
    table.write_text(table.read_text().replace("002.jpg,normal,0.5", "002.jpg,normal,1.5"))
    dataset, (problem,) = convert_raw("origa", origa, tmp_path / "out")
    assert "002.jpg: vertical_cup_to_disc_ratio: found '1.5', expected a number from 0 to 1" in problem
    assert np.isnan(by_stem(dataset)["002"].ratio)
    manifest = dataset.root / "manifest.csv"
    manifest.write_text(manifest.read_text().replace(",0.5", ",half", 1))
    with pytest.raises(UmlError, match=r"manifest.csv: line 2: vertical_cup_to_disc_ratio: found 'half'"):
        type(dataset).open(dataset.root)


def test_origa_disc_is_background_outside_and_rim_or_cup_inside(origa, tmp_path):
    text = (origa / "labels.csv").read_text()
    (origa / "labels.csv").write_text(
        text.replace("002.jpg,normal,0.5,25,20,10", "002.jpg,normal,0.5,25,20,?")
    )
    dataset, problems = convert_raw("origa", origa, tmp_path / "out", disc=True)
    (problem,) = problems
    assert "002.jpg: disc: could not convert string to float: '?', expected numbers in disc_cx" in problem
    mask = mask_of(dataset, "001")
    assert set(np.unique(mask)) == {0, ANY_REGION_PIXEL}
    assert (mask == ANY_REGION_PIXEL).sum() == pytest.approx(np.pi * 60, rel=0.05)
    assert mask[20, 25] == ANY_REGION_PIXEL
    assert _sound(dataset)


def test_real_origa(real_origa):
    dataset, problems = real_origa
    assert problems == []
    assert Counter(row.label for row in dataset.rows) == {"glaucoma": 78, "normal": 322}
    assert len({row.subject for row in dataset.rows}) == 392  # eight eyes were photographed twice
    rows = by_stem(dataset)
    assert rows["023"].subject == rows["024"].subject
    assert min(_splits(dataset).values()) >= 38


# REFUGE


def _refuge_mask():
    mask = np.full((40, 50), 255, np.uint8)
    mask[5:25, 5:25], mask[10:20, 10:20] = 128, 0
    return mask


@pytest.fixture
def refuge(tmp_path):
    """The archives as they unpack."""
    raw = tmp_path / "raw"
    for n in range(1, 9):
        kind, initial = (("Glaucoma", "g"), ("Non-Glaucoma", "n"))[n % 2]
        write(raw / f"REFUGE-Training400/Training400/{kind}/{initial}{n:04d}.jpg", photo(n))
        write(raw / f"Annotation-Training400/Disc_Cup_Masks/{kind}/{initial}{n:04d}.bmp", _refuge_mask())
    for n in range(1, 5):
        write(raw / f"REFUGE-Validation400/V{n:04d}.jpg", photo(100 + n))
        write(raw / f"REFUGE-Validation400-GT/Disc_Cup_Masks/V{n:04d}.bmp", _refuge_mask())
        write(raw / f"Test400/T{n:04d}.jpg", photo(200 + n))
        write(raw / f"REFUGE-Test-GT/Disc_Cup_Masks/{'GN'[n % 2]}/T{n:04d}.bmp", _refuge_mask())
    (raw / "REFUGE-Validation400-GT/Fovea_locations.csv").write_text(
        "ID,ImgName,Fovea_X,Glaucoma Label\n" + "".join(f"{n},V{n:04d}.jpg,1,{n % 2}\n" for n in range(1, 5))
    )
    return raw


def test_refuge_keeps_its_splits_and_turns_its_values(refuge, tmp_path):
    dataset, problems = convert_raw("refuge", refuge, tmp_path / "out")
    assert problems == []
    assert _sound(dataset)
    assert _splits(dataset) == {"train": 8, "val": 4, "test": 4}
    rows = by_stem(dataset)
    assert {stem: rows[stem].label for stem in ("g0002", "n0001", "V0001", "V0002", "T0001", "T0002")} == {
        "g0002": "glaucoma", "n0001": "normal", "V0001": "glaucoma", "V0002": "normal", "T0001": "normal",
        "T0002": "glaucoma",
    }  # fmt: skip
    mask = mask_of(dataset, "V0001")
    assert ((mask == 0).sum(), (mask == 1).sum(), (mask == 2).sum()) == (1600, 300, 100)
    assert dataset.info.unions == {"disc": ("rim", "cup")}


def test_refuge_with_index_files_and_a_damaged_mask(tmp_path):
    raw = tmp_path / "raw"
    for part, initial, start in (("train", "g", 0), ("val", "V", 20), ("test", "T", 40)):
        index = {}
        for n in range(1, 5):
            write(raw / part / f"Images/{initial}{n:04d}.jpg", photo(start + n))
            write(raw / part / f"gts/{initial}{n:04d}.bmp", _refuge_mask())
            index[str(n)] = {"ImgName": f"{initial}{n:04d}.jpg", "Fovea_X": 3.5, "Label": n % 2}
        (raw / part / "index.json").write_text(json.dumps(index))
    write(raw / "val/gts/V0002.bmp", np.full((40, 50), 200, np.uint8))
    dataset, problems = convert_raw("refuge", raw, tmp_path / "out")
    (problem,) = problems
    assert "V0002.bmp: found pixel value 200 (2000 pixels), expected one of 255, 128, 0" in problem
    rows = by_stem(dataset)
    assert rows["V0002"].mask == ""
    assert (rows["V0003"].label, rows["T0002"].label) == ("glaucoma", "normal")
    assert len(_splits(dataset)) == 3
    (raw / "val/index.json").write_text('{"1": {"ImgName": "V0001.jpg", "Label": 3}}')
    with pytest.raises(UmlError, match=r"index.json: label: found '3', expected 0 or 1"):
        convert_raw("refuge", raw, tmp_path / "no")


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
