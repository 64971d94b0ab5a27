"""``uml-tf data folder``: what people have, as it lies in their folders."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from raw_files import COUNT, box, by_stem, convert_raw, mask_of, photo, write

from uml_tf.data.check import check_dataset
from uml_tf.data.dataset import PreparedDataset
from uml_tf.runtime.errors import UmlError


def test_class_folders_with_masks_beside_the_images(class_folders, tmp_path):
    dataset, problems = convert_raw(
        "folder", class_folders, tmp_path / "out", labels="from-folder", masks="lesion={stem}_mask*.png"
    )
    assert problems == []
    assert dataset.info.image_classes == ("benign", "malignant")
    assert dataset.info.pixel_classes == ("background", "lesion")
    assert dataset.info.name == "raw"
    rows = by_stem(dataset)
    assert len(rows) == COUNT
    assert rows["malignant_1"].label == "malignant"
    assert rows["benign_4"].mask == ""
    np.testing.assert_array_equal(mask_of(dataset, "benign_0"), (box(5, 15, 5, 25) | box(25, 35, 30, 45)) > 0)
    assert check_dataset(dataset).problems == []


def test_a_name_that_begins_another_name_takes_none_of_its_masks(tmp_path):
    raw = tmp_path / "raw"
    for n in range(COUNT):
        write(raw / f"{'ab'[n % 2]}/{n}.png", photo(n))
        write(raw / f"{'ab'[n % 2]}/{n}_mask.png", box(2, 4 + n, 2, 9))
    dataset, _ = convert_raw("folder", raw, tmp_path / "out", labels="from-folder", masks="{stem}_mask*.png")
    for n in range(COUNT):
        assert mask_of(dataset, str(n)).sum() == (2 + n) * 7
    for n in (1, 10):
        write(raw / f"a/{n}.png", photo(n))
        write(raw / f"a/{n}_mask.png", box(2, 4, 2, 9))
    with pytest.raises(UmlError, match=r"--masks: found \S*10_mask.png for two images, 10?.png and 10?.png"):
        convert_raw("folder", raw, tmp_path / "no", labels="from-folder", masks="{stem}*_mask.png")


def test_dry_run_prints_counts_and_draws_a_sheet_and_writes_nothing_else(run, class_folders, tmp_path):
    output = run(
        "data", "folder", class_folders, tmp_path / "out", "--labels", "from-folder",
        "--masks", "lesion={stem}_mask*.png", "--dry-run", "--sheet", tmp_path / "look.png",
    )  # fmt: skip
    assert not (tmp_path / "out").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"raw", "look.png"}
    sheet = cv2.imread(str(tmp_path / "look.png"))
    assert sheet.shape[0] > 300
    assert sheet.std() > 20
    assert "lesion" in output
    assert "(on 11 masks)" in output
    assert "note: 12 mask files belong to 12 images" in output
    assert "no data set was written" in output
    # The counts are those of the conversion.
    run("data", "folder", class_folders, tmp_path / "out", "--labels", "from-folder", "--masks",
        "lesion={stem}_mask*.png")  # fmt: skip
    table = [line for line in output.splitlines() if line.startswith("│")]
    for split, line in zip(("train", "val", "test"), table, strict=True):
        rows = [row for row in PreparedDataset.open(tmp_path / "out").rows if row.split == split]
        for label in ("benign", "malignant"):
            images = [row for row in rows if row.label == label]
            assert f"{len(images)} ({sum(bool(row.mask) for row in images)} with mask)" in line


def test_the_sheet_lies_beside_out_and_needs_the_dry_run(run, class_folders, tmp_path):
    options = ("--labels", "from-folder", "--masks", "{stem}_mask*.png", "--dry-run")
    run("data", "folder", class_folders, tmp_path / "out", *options)
    assert (tmp_path / "out-sheet.png").is_file()
    output = run("data", "folder", class_folders, tmp_path / "out", "--sheet", "x.png", expect=2)
    assert "--sheet needs --dry-run" in output


@pytest.fixture
def table_folder(tmp_path):
    """Images in one folder, masks in another, and a table with patients and splits."""
    raw = tmp_path / "raw"
    lines = ["File name;Diagnosis;Patient;Set"]
    for n in range(COUNT):
        write(raw / f"images/eye{n:02d}.jpg", photo(n))
        write(raw / f"masks/eye{n:02d}.png", box(5, 15, 5, 25, 128) + box(20, 25, 5, 25))
        split = ("Training", "Training", "Training", "Testing")[n // 2 % 4]
        lines.append(f"eye{n:02d}{'.jpg' if n % 3 else ''};{n % 2}.0; p{n // 2} ;{split}")
    lines.append("eye99;1;p9;Training")
    (raw / "labels.csv").write_text("\ufeff" + "\r\n".join(lines), encoding="utf-8")
    return raw


TABLE = {
    "images": "images/*.jpg",
    "labels": "labels.csv",
    "label_column": "Diagnosis",
    "image_column": "File name",
    "classes": "0=normal,1=glaucoma",
}


def test_a_table_of_labels_patients_and_splits(table_folder, tmp_path):
    options = {
        **TABLE,
        "masks": "../masks/{stem}.png",
        "pixel_values": "0=background,128=rim,255=cup",
        "subject_column": "Patient",
        "keep_split": "Set",
        "unions": "disc=rim+cup",
        "split": (0.6, 0.4, 0),
        "name": "eyes",
        "licence": "ours",
        "spacing": (0.5, 0.25),
    }
    dataset, problems = convert_raw("folder", table_folder, tmp_path / "out", **options)
    assert problems == []
    info = dataset.info
    assert (info.name, info.licence, info.spacing) == ("eyes", "ours", (0.5, 0.25))
    assert info.image_classes == ("normal", "glaucoma")
    assert info.pixel_classes == ("background", "rim", "cup")
    assert info.unions == {"disc": ("rim", "cup")}
    rows = by_stem(dataset)
    assert [rows[f"eye{n:02d}"].label for n in range(4)] == ["normal", "glaucoma"] * 2
    assert rows["eye03"].subject == "p1"
    # The published test split is kept; validation was drawn from the training images, by patient.
    assert {stem for stem, row in rows.items() if row.split == "test"} == {"eye06", "eye07"}
    assert {row.split for row in dataset.rows} == {"train", "val", "test"}
    mask = mask_of(dataset, "eye00")
    assert ((mask == 1).sum(), (mask == 2).sum()) == (200, 100)
    assert check_dataset(dataset).problems == []


def test_notes_of_the_dry_run_tell_what_the_table_and_the_folder_lack(run, table_folder, tmp_path):
    write(table_folder / "images/more.jpg", photo(50))
    arguments = [f"--{name.replace('_', '-')}={value}" for name, value in TABLE.items()]
    output = run("data", "folder", table_folder, tmp_path / "out", *arguments, "--dry-run")
    assert "1 images have no row in" in output
    assert "the first images/more.jpg" in output
    assert "1 rows of" in output
    assert "more.jpg: found neither label nor mask" in output


def test_one_column_for_each_class(tmp_path):
    raw = tmp_path / "raw"
    lines = ["image,MEL,SK"]
    for n in range(9):
        write(raw / f"{n}.png", photo(n))
        lines.append(f"{n},{float(n % 3 == 1)},{float(n % 3 == 2)}")
    write(raw / "9.png", photo(9))
    (raw / "t.csv").write_text("\n".join([*lines, "9,1,1"]))
    options = {"labels": "t.csv", "label_column": "MEL,SK", "otherwise": "NV"}
    dataset, problems = convert_raw("folder", raw, tmp_path / "out", classes="NV,MEL,SK", **options)
    rows = by_stem(dataset)
    assert [rows[str(n)].label for n in range(3)] == ["NV", "MEL", "SK"]
    assert [problem.split(": ", 1)[1] for problem in problems] == [
        "9.png: label: found 1 in MEL and SK, expected it in one column; left out"
    ]


def test_labels_and_patients_from_names_and_splits_from_folders(tmp_path):
    raw = tmp_path / "raw"
    for n in range(COUNT):
        split = ("train", "train", "Valid", "test")[n // 3]
        write(raw / split / f"{('case', 'control')[n % 2]}_P{n // 3:03d}_{n}.png", photo(n))
    dataset, problems = convert_raw(
        "folder",
        raw,
        tmp_path / "out",
        label_pattern="(case|control)",
        subject_pattern=r"_(P\d+)_",
        keep_split="from-folder",
    )
    assert problems == []
    assert {(row.subject, row.split) for row in dataset.rows} == {
        ("P000", "train"), ("P001", "train"), ("P002", "val"), ("P003", "test")
    }  # fmt: skip
    assert all(row.label in row.image for row in dataset.rows)


def test_published_splits_that_divide_a_patient_are_refused(tmp_path):
    raw = tmp_path / "raw"
    for n in range(4):
        write(raw / ("train", "test")[n // 2] / "ab"[n % 2] / f"p1_{n}.png", photo(n))
    options = {"labels": "from-folder", "subject_pattern": r"p\d", "keep_split": "from-folder"}
    with pytest.raises(UmlError, match=r"subject 'p1': found images/p1_2.png on test and images/p1_0.png on"):
        convert_raw("folder", raw, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_images_of_the_same_name_in_several_folders(tmp_path):
    raw = tmp_path / "raw"
    for n in range(COUNT):
        write(raw / "ab"[n % 2] / f"patient{n // 2}" / "1.png", photo(n))
    options = {"labels": "from-folder", "classes": "a,b", "subject_pattern": r"patient\d"}
    dataset, _ = convert_raw("folder", raw, tmp_path / "out", **options)
    assert by_stem(dataset)["b_patient0_1"].label == "b"
    assert len(by_stem(dataset)) == COUNT


def test_the_installed_command_converts_a_folder(uml_tf_command, class_folders, tmp_path):
    command = (
        "data",
        "folder",
        class_folders,
        "out",
        "--labels",
        "from-folder",
        "--masks",
        "{stem}_mask*.png",
    )
    done = uml_tf_command(*command, cwd=tmp_path)
    assert "12 images" in done.stdout or "written to out" in done.stdout
    assert "no problems found" in uml_tf_command("data", "check", "out", cwd=tmp_path).stdout
