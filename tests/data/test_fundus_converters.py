"""The converters of ORIGA and REFUGE, on small files in the published layouts and on real folders."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
from raw_files import by_stem, convert_raw, is_sound, mask_of, photo, splits, write

from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.regions import ANY_REGION_PIXEL

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
    assert is_sound(dataset)
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
    assert is_sound(dataset)


def test_real_origa(real_origa):
    dataset, problems = real_origa
    assert problems == []
    assert Counter(row.label for row in dataset.rows) == {"glaucoma": 78, "normal": 322}
    assert len({row.subject for row in dataset.rows}) == 392  # eight eyes were photographed twice
    rows = by_stem(dataset)
    assert rows["023"].subject == rows["024"].subject
    assert min(splits(dataset).values()) >= 38


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
    assert is_sound(dataset)
    assert splits(dataset) == {"train": 8, "val": 4, "test": 4}
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
    assert len(splits(dataset)) == 3
    (raw / "val/index.json").write_text('{"1": {"ImgName": "V0001.jpg", "Label": 3}}')
    with pytest.raises(UmlError, match=r"index.json: V0001.jpg: label: found '3', expected 0 or 1"):
        convert_raw("refuge", raw, tmp_path / "no")


def _relabelled(raw, change):
    path = raw / "REFUGE-Validation400-GT/Fovea_locations.csv"
    path.write_text(path.read_text().replace("V0003.jpg,1,1\n", f"V0003.jpg,1,{change}\n"))


@pytest.mark.parametrize("stored", ["-1", "1.7", "inf", "nan", "yes"])
def test_refuge_label_that_is_none_is_refused(refuge, tmp_path, stored):
    _relabelled(refuge, stored)
    with pytest.raises(UmlError) as refused:
        convert_raw("refuge", refuge, tmp_path / "out")
    line = f"Fovea_locations.csv: V0003.jpg: label: found '{stored}', expected 0 or 1, or nothing where it is"
    assert line in str(refused.value)


@pytest.mark.parametrize(("stored", "label"), [("", ""), ("1.0", "glaucoma"), ("0.0", "normal")])
def test_refuge_label_may_be_empty_or_of_tenths(refuge, tmp_path, stored, label):
    _relabelled(refuge, stored)
    index = {"1": {"ImgName": "V0001.jpg", "Label": None}}
    (refuge / "index.json").write_text(json.dumps(index))
    dataset, problems = convert_raw("refuge", refuge, tmp_path / "out")
    assert problems == []
    rows = by_stem(dataset)
    assert (rows["V0003"].label, rows["V0001"].label) == (label, "glaucoma")
