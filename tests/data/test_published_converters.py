"""The named converters of other images, on small files in the published layouts and on real folders."""

from __future__ import annotations

from collections import Counter

import cv2
import numpy as np
import pytest
from raw_files import box, by_stem, convert_raw, is_sound, mask_of, photo, splits, write

from uml_tf.data.masks import read_mask
from uml_tf.runtime.errors import UmlError

# ISIC 2017


def _isic(raw, part, suffix, numbers):
    lines = ["image_id,melanoma,seborrheic_keratosis"]
    for n in numbers:
        write(raw / f"ISIC-2017_{part}_Data/ISIC_{n:07d}.jpg", photo(n))
        write(raw / f"ISIC-2017_{part}_Data/ISIC_{n:07d}_superpixels.png", photo(n + 1))
        write(raw / f"ISIC-2017_{part}_Part1_GroundTruth/ISIC_{n:07d}_segmentation.png", box(5, 20, 5, 20))
        lines.append(f"ISIC_{n:07d},{float(n % 3 == 1)},{float(n % 3 == 2)}")
    (raw / f"ISIC-2017_{part}{suffix}_Part3_GroundTruth.csv").write_text("\n".join(lines))


def test_isic_tables_labels_andsplits(tmp_path):
    raw = tmp_path / "raw"
    _isic(raw, "Training", "", range(1, 13))
    one, problems = convert_raw("isic2017", raw, tmp_path / "one")
    assert problems == []
    assert splits(one)["test"] >= 1
    _isic(raw, "Validation", "", range(13, 16))
    _isic(raw, "Test", "_v2", range(16, 22))
    write(raw / "ISIC-2017_Test_Data/ISIC_0000099.jpg", photo(99))
    dataset, problems = convert_raw("isic2017", raw, tmp_path / "out")
    assert "ISIC_0000099.jpg: found no row for it, expected one in a table of Part 3; left out" in problems[0]
    assert splits(dataset) == {"train": 12, "val": 3, "test": 6}
    rows = by_stem(dataset)
    assert [rows[f"ISIC_{n:07d}"].label for n in (3, 1, 2)] == ["nevus", "melanoma", "seborrheic_keratosis"]
    assert mask_of(dataset, "ISIC_0000001").sum() == 225
    assert is_sound(dataset)


def test_real_isic(isic_raw, tmp_path):
    dataset, problems = convert_raw("isic2017", isic_raw, tmp_path / "out")
    assert problems == []
    assert Counter(row.label for row in dataset.rows) == {
        "nevus": 54,
        "seborrheic_keratosis": 34,
        "melanoma": 10,
    }
    assert all(row.mask for row in dataset.rows)
    assert is_sound(dataset)


# PH2


def test_ph2(tmp_path):
    raw = tmp_path / "PH2Dataset"
    lines = ["|| Name || Histological Diagnosis || Clinical Diagnosis || Asymmetry ||"]
    for n in range(2, 14):
        name = f"IMD{n:03d}"
        folder = raw / "PH2 Dataset images" / name
        write(folder / f"{name}_Dermoscopic_Image/{name}.bmp", photo(n))
        write(folder / f"{name}_lesion/{name}_lesion.bmp", box(5, 20, 5, 20))
        write(folder / f"{name}_roi/{name}_R1_Label3.bmp", box(1, 9, 1, 9))
        lines.append(f"|| {name} ||                        ||         {n % 3}        ||     0     || 3  4 ||")
    (raw / "PH2_dataset.txt").write_text(
        "\n".join([*lines, "", "Legends:", "Clinical Diagnosis: 0 - Common Nevus"])
    )
    dataset, problems = convert_raw("ph2", raw, tmp_path / "out")
    assert problems == []
    assert is_sound(dataset)
    rows = by_stem(dataset)
    assert len(rows) == 12
    assert [rows[f"IMD{n:03d}"].label for n in (3, 4, 5)] == ["common_nevus", "atypical_nevus", "melanoma"]
    assert mask_of(dataset, "IMD003").sum() == 225
    (raw / "PH2_dataset.txt").write_text("nothing")
    with pytest.raises(UmlError, match=r"PH2_dataset.txt: found no line of an image"):
        convert_raw("ph2", raw, tmp_path / "no")


# I-SPY 1


def _volume(raw, patient, slices=6):
    rng = np.random.default_rng(int(patient[-2:]))
    image = np.stack([cv2.resize(rng.normal(500, 200, (6, 7)), (50, 40)) for _ in range(slices)]).astype(
        np.int16
    )
    mask = np.zeros((slices, 40, 50), np.uint8)
    mask[2:4, 10:20, 10:20] = 1
    (raw / patient).mkdir(parents=True)
    np.save(raw / patient / "image.npy", image)
    np.save(raw / patient / "mask.npy", mask)
    return image


def test_ispy1_volumes_become_slices_and_patients_stay_together(tmp_path):
    raw = tmp_path / "raw"
    images = {f"ISPY1_10{n:02d}": _volume(raw, f"ISPY1_10{n:02d}") for n in range(1, 11)}
    table = (
        "SUBJECTID,Age,PCR\n"
        + "".join(f"{p},50,{i % 2}\n" for i, p in enumerate(images))
        + "ISPY1_1099,1,1\n"
    )
    (raw / "clinical.csv").write_text(table)
    dataset, problems = convert_raw("ispy1", raw, tmp_path / "out")
    assert problems == []
    assert is_sound(dataset)
    assert len(dataset.rows) == 20
    assert {row.subject for row in dataset.rows} == set(images)
    row = by_stem(dataset)["ISPY1_1002_s3"]
    assert row.label == "pcr"
    assert read_mask(dataset.root / row.mask).sum() == 100
    grey = cv2.imread(str(dataset.root / row.image))[..., 0].astype(float)
    volume = images["ISPY1_1002"]
    darkest, brightest = np.percentile(volume, (1, 99))
    expected = np.clip((volume[3] - darkest) / (brightest - darkest), 0, 1) * 255
    assert np.abs(grey - expected).max() <= 0.51
    every, _ = convert_raw("ispy1", raw, tmp_path / "all", slices="all")
    assert len(every.rows) == 60
    np.save(raw / "ISPY1_1001/mask.npy", np.zeros((3, 40, 50)))
    with pytest.raises(UmlError, match=r"found an image of shape \(6, 40, 50\) and a mask of \(3, 40, 50\)"):
        convert_raw("ispy1", raw, tmp_path / "no")


def test_ispy1_slices_keep_theirsplits(tmp_path):
    raw = tmp_path / "raw"
    for split, patients in (("Train", (1, 2, 3)), ("Valid", (4,)), ("Test", (5, 6))):
        for patient in patients:
            name = f"ispy_{patient:04d}"
            for n in (1, 2):
                stem = f"{name}_{patient % 2}_s{n}"
                write(raw / split / "images" / name / f"{stem}_img.jpg", photo(10 * patient + n))
                write(raw / split / "masks" / name / f"{stem}_msk.jpg", box(5, 25, 5, 25))
    dataset, problems = convert_raw("ispy1", raw, tmp_path / "out")
    assert problems == []
    assert splits(dataset) == {"train": 6, "val": 2, "test": 4}
    row = by_stem(dataset)["ispy_0003_1_s2"]
    assert (row.subject, row.label, row.split) == ("ispy_0003", "pcr", "train")
    assert read_mask(dataset.root / row.mask).sum() == pytest.approx(400, abs=30)
    (raw / "clinical.csv").write_text("SUBJECTID,PCR\nx,1\n")
    with pytest.raises(UmlError, match="found slices and volumes, expected images/PATIENT"):
        convert_raw("ispy1", raw, tmp_path / "no")


def test_a_folder_of_another_format_is_refused_by_every_converter(tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("drishti", "origa", "refuge", "isic2017", "ph2", "ispy1", "busi", "folder"):
        for raw in (tmp_path / "empty", tmp_path / "none"):
            with pytest.raises(UmlError, match=str(raw)):
                convert_raw(name, raw, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]
