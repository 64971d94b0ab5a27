"""``uml-tf data folder``: what people have, as it lies in their folders."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from PIL import Image
from raw_files import box, by_stem, convert_raw, photo, write

from uml_tf.data.check import check_dataset
from uml_tf.data.dataset import PreparedDataset
from uml_tf.data.masks import read_mask
from uml_tf.data.raw.outlines import decode_run_lengths, fill_ellipse, fill_polygon
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.regions import UNKNOWN_PIXEL

COUNT = 12


def _mask(dataset, stem):
    return read_mask(dataset.root / by_stem(dataset)[stem].mask)


@pytest.fixture
def class_folders(tmp_path):
    """Class folders; most images have a mask beside them, one has two."""
    raw = tmp_path / "raw"
    for n in range(COUNT):
        name = ("benign", "malignant")[n % 2]
        write(raw / name / f"{name} ({n}).png", photo(n))
        if n != 4:
            write(raw / name / f"{name} ({n})_mask.png", box(5, 15, 5, 25))
    write(raw / "benign/benign (0)_mask_1.png", box(25, 35, 30, 45))
    (raw / "benign/notes.txt").write_text("no image")
    (raw / ".hidden").mkdir()
    write(raw / ".hidden/x.png", photo(99))
    return raw


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
    np.testing.assert_array_equal(_mask(dataset, "benign_0"), (box(5, 15, 5, 25) | box(25, 35, 30, 45)) > 0)
    assert check_dataset(dataset).problems == []


def test_a_name_that_begins_another_name_takes_none_of_its_masks(tmp_path):
    raw = tmp_path / "raw"
    for n in range(COUNT):
        write(raw / f"{'ab'[n % 2]}/{n}.png", photo(n))
        write(raw / f"{'ab'[n % 2]}/{n}_mask.png", box(2, 4 + n, 2, 9))
    dataset, _ = convert_raw("folder", raw, tmp_path / "out", labels="from-folder", masks="{stem}_mask*.png")
    for n in range(COUNT):
        assert _mask(dataset, str(n)).sum() == (2 + n) * 7
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
    run("data", "folder", class_folders, tmp_path / "out", "--labels", "from-folder", "--dry-run")
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
    mask = _mask(dataset, "eye00")
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


PALETTE = [0, 0, 0, 255, 0, 0, 0, 255, 0]


@pytest.mark.parametrize("values", ["0=background,1=rim,2=cup", "#000000=background,#ff0000=rim,#00ff00=cup"])
def test_palettes_are_read_by_index_or_by_colour(tmp_path, values):
    raw = tmp_path / "raw"
    labels = box(5, 20, 5, 30, 1) + box(10, 15, 10, 20, 1)
    for n in range(COUNT):
        write(raw / "ab"[n % 2] / f"{n}.jpg", photo(n))
        picture = Image.fromarray(labels, "P")
        picture.putpalette(PALETTE)
        picture.save(raw / "ab"[n % 2] / f"{n}.png")
    dataset, problems = convert_raw(
        "folder",
        raw,
        tmp_path / "out",
        images="**/*.jpg",
        labels="from-folder",
        masks="{stem}.png",
        pixel_values=values,
    )
    assert problems == []
    np.testing.assert_array_equal(_mask(dataset, "3"), labels)


@pytest.mark.parametrize(
    ("values", "expected", "problem"),
    [
        ("#ff0000=disc", {(255, 0, 0): 1}, ""),
        ("#ff0000=disc,#0000ff=unknown", {(255, 0, 0): 1, (0, 0, 255): UNKNOWN_PIXEL}, ""),
        ("#000000=background,#ff0000=disc", None, "found pixel value #0000ff (100 pixels), expected one of"),
        ("0=background,255=disc", None, "found colours"),
    ],
)
def test_colours(tmp_path, values, expected, problem):
    raw = tmp_path / "raw"
    picture = np.zeros((40, 50, 3), np.uint8)
    picture[5:15, 5:15], picture[20:30, 20:30] = (255, 0, 0), (0, 0, 255)
    for n in range(COUNT):
        write(raw / "ab"[n % 2] / f"{n}.jpg", photo(n))
    write(raw / "masks/3.png", picture)
    options = {
        "images": "?/*.jpg",
        "labels": "from-folder",
        "masks": "/masks/{stem}.png",
        "pixel_values": values,
    }
    dataset, problems = convert_raw("folder", raw, tmp_path / "out", **options)
    if expected is None:
        assert problem in problems[0]
        assert by_stem(dataset)["3"].mask == ""
        return
    assert problems == []
    mask = _mask(dataset, "3")
    for colour in np.unique(picture.reshape(-1, 3), axis=0):
        assert (mask[(picture == colour).all(-1)] == expected.get(tuple(colour.tolist()), 0)).all()


def test_ranges_take_the_grey_edges_of_a_jpeg_and_sixteen_bits_are_read(tmp_path):
    raw = tmp_path / "raw"
    for n in range(COUNT):
        write(raw / "ab"[n % 2] / f"{n}.png", photo(n))
        write(raw / f"masks/{n}.jpg", cv2.GaussianBlur(box(5, 25, 5, 25), (0, 0), 1))
        assert cv2.imwrite(str(raw / f"deep/{n}.png"), box(5, 25, 5, 25).astype(np.uint16) * 200) or (
            (raw / "deep").mkdir(exist_ok=True)
            or cv2.imwrite(str(raw / f"deep/{n}.png"), box(5, 25, 5, 25).astype(np.uint16) * 200)
        )
    options = {"images": "[ab]/*.png", "labels": "from-folder"}
    dataset, problems = convert_raw(
        "folder",
        raw,
        tmp_path / "jpeg",
        masks="/masks/{stem}.jpg",
        pixel_values="0-127=background,128-255=x",
        **options,
    )
    assert problems == []
    assert abs(int(_mask(dataset, "0").sum()) - 400) < 40
    dataset, problems = convert_raw(
        "folder",
        raw,
        tmp_path / "deep-out",
        masks="/deep/{stem}.png",
        pixel_values="0=background,51000=x",
        **options,
    )
    assert problems == []
    assert _mask(dataset, "0").sum() == 400


def test_one_file_for_each_class_in_the_order_of_the_list(tmp_path):
    raw = tmp_path / "raw"
    for n in range(COUNT):
        write(raw / "ab"[n % 2] / f"{n}.png", photo(n))
        write(raw / "ab"[n % 2] / f"{n}_disc.png", box(5, 25, 5, 25, 1))  # 0 and 1, as many tools write
        if n != 2:
            write(raw / "ab"[n % 2] / f"{n}_cup.png", box(10, 20, 10, 20))
    write(raw / "a/0_poor.png", box(0, 7, 0, 50))
    masks = "rim={stem}_disc.png,cup={stem}_cup.png,unknown={stem}_poor.png"
    dataset, problems = convert_raw("folder", raw, tmp_path / "out", labels="from-folder", masks=masks)
    assert problems == []
    assert dataset.info.pixel_classes == ("background", "rim", "cup")
    mask = _mask(dataset, "4")
    assert ((mask == 1).sum(), (mask == 2).sum()) == (300, 100)
    assert (_mask(dataset, "2") == 2).sum() == 0
    first = _mask(dataset, "0")
    assert (first[:7] == UNKNOWN_PIXEL).all()
    assert (first[7:] != UNKNOWN_PIXEL).all()


def test_a_mask_of_another_size_is_left_out_and_its_image_kept(class_folders, tmp_path):
    write(class_folders / "benign/benign (2)_mask.png", box(1, 3, 1, 3, size=(20, 20)))
    dataset, problems = convert_raw(
        "folder", class_folders, tmp_path / "out", labels="from-folder", masks="{stem}_mask*.png"
    )
    (problem,) = problems
    assert "benign (2)_mask.png: found 20 x 20 pixels, expected 50 x 40 as benign (2).png" in problem
    assert by_stem(dataset)["benign_2"].mask == ""


@pytest.fixture
def coco(tmp_path):
    """A COCO file with a polygon of two parts, run lengths, an image without a region and one not listed."""
    raw = tmp_path / "raw"
    for n in range(COUNT):
        write(raw / "images" / "ab"[n % 2] / f"{n}.png", photo(n))
    area = box(20, 30, 30, 40) > 0
    flat = area.ravel(order="F").astype(int)
    edges = np.flatnonzero(np.diff(flat)) + 1
    lengths = np.diff([0, *edges, flat.size]).tolist()
    data = {
        "images": [
            {"id": 70 + n, "file_name": f"{n}.png", "height": 40, "width": 50} for n in range(COUNT - 1)
        ],
        "categories": [{"id": 9, "name": "cup"}, {"id": 3, "name": "rim"}],
        "annotations": [
            {"image_id": 70, "category_id": 9, "segmentation": [[10, 10, 20, 10, 20, 18, 10, 18]]},
            {
                "image_id": 70,
                "category_id": 3,
                "segmentation": [[5, 5, 25, 5, 25, 25, 5, 25], [40, 2, 48, 2, 48, 10]],
            },
            {"image_id": 71, "category_id": 9, "segmentation": {"size": [40, 50], "counts": lengths}},
            {"image_id": 72, "category_id": 9, "segmentation": {"size": [40, 50], "counts": "abc"}},
        ],
    }
    (raw / "coco.json").write_text(json.dumps(data))
    return raw


def test_coco_polygons_and_run_lengths(coco, tmp_path):
    dataset, problems = convert_raw("folder", coco, tmp_path / "out", labels="from-folder", coco="coco.json")
    (problem,) = problems
    assert "coco.json: found compressed run lengths, expected polygons or run lengths as a list" in problem
    assert dataset.info.pixel_classes == ("background", "rim", "cup")
    mask = _mask(dataset, "0")
    assert (mask == 2).sum() == 80
    assert (mask == 1).sum() == pytest.approx(400 - 80 + 32, abs=5)
    np.testing.assert_array_equal(_mask(dataset, "1") == 2, box(20, 30, 30, 40) > 0)
    assert (_mask(dataset, "5") == 0).all()
    rows = by_stem(dataset)
    assert rows["2"].mask == rows["11"].mask == ""


def test_coco_categories_can_be_named_anew(coco, tmp_path):
    options = {"labels": "from-folder", "coco": "coco.json"}
    dataset, _ = convert_raw("folder", coco, tmp_path / "one", pixel_values="rim=disc,9=disc", **options)
    assert dataset.info.pixel_classes == ("background", "disc")
    assert (_mask(dataset, "0") == 1).sum() == pytest.approx(432, abs=5)
    with pytest.raises(UmlError, match="found category 'cup', expected one of"):
        convert_raw("folder", coco, tmp_path / "two", pixel_values="rim=disc,other=background", **options)


def test_filled_polygons_have_the_area_of_the_formula():
    rng = np.random.default_rng(0)
    for _ in range(20):
        angles = np.sort(rng.uniform(0, 2 * np.pi, 9))
        points = 100 + rng.uniform(40, 90, 9)[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        x, y = points.T
        area = 0.5 * abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)))
        assert fill_polygon(points, (200, 200)).sum() == pytest.approx(area, rel=0.02)
    outside = fill_polygon(np.array([[-50.0, -50], [500, -50], [500, 500], [-50, 500]]), (30, 40))
    assert outside.all()


def test_ellipses_and_run_lengths():
    area = fill_ellipse((60, 50), (40, 20), 0.6, (100, 120))
    assert area.sum() == pytest.approx(np.pi * 40 * 20, rel=0.01)
    rows, columns = np.nonzero(area)
    slope = np.polyfit(columns, rows, 1)[0]
    assert slope > 0.2  # clockwise in the picture
    assert (rows.mean(), columns.mean()) == pytest.approx((49.5, 59.5), abs=0.2)
    np.testing.assert_array_equal(
        decode_run_lengths([1, 2, 3], (2, 3)), [[False, True, False], [True, False, False]]
    )
    with pytest.raises(UmlError, match="found run lengths for 5 pixels, expected 3 x 2"):
        decode_run_lengths([1, 2, 2], (2, 3))


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--images", "*.tif"], "--images: found no image that matches '*.tif'"),
        (["--masks", "{stm}.png"], "--masks: found {stm} in '{stm}.png', expected one of {stem}, {name}"),
        (["--masks", "{stem}_seg.png"], "--masks: found no file for '{stem}_seg.png', e.g. "),
        (["--masks", "{stem}*.png"], "--masks: found every image of --images as a mask"),
        (["--masks", "a={stem}_a.png,{stem}_b.png"], "--masks: found CLASS=PATTERN and patterns without a"),
        (["--pixel-values", "255=x"], "--pixel-values: found it without masks"),
        (
            ["--masks", "{stem}_mask.png", "--pixel-values", "x"],
            "--pixel-values: found 'x', expected VALUE=x",
        ),
        (["--masks", "{stem}_mask.png", "--pixel-values", "#12=x"], "found '#12', expected a colour of six"),
        (
            ["--masks", "{stem}_mask.png", "--pixel-values", "1=a,#112233=b"],
            "found grey values and colours in",
        ),
        (["--masks", "{stem}_mask*.png", "--coco", "x.json"], "--coco: found it beside --masks"),
        (["--coco", "none.json"], "none.json: cannot be read"),
        (["--labels", "none.csv"], "none.csv: no such file"),
        (["--labels", "from-folder", "--label-pattern", "x"], "--label-pattern: found it beside --labels"),
        (["--label-pattern", "("], "--label-pattern: found '(', expected a regular expression"),
        (["--subject-column", "x"], "--subject-column: found 'x' without a table"),
        (
            ["--labels", "from-folder", "--subject-pattern", "zzz"],
            "--subject-pattern: found 'zzz' in no path",
        ),
        ([], "--classes: found none, expected at least two image classes"),
        (
            ["--labels", "from-folder", "--unions", "x=y"],
            "--unions: found 'x=y', expected REGION=CLASS+CLASS",
        ),
        (
            ["--labels", "from-folder", "--classes", "a,"],
            "--classes: found '' in 'a,', expected NAME or VALUE",
        ),
    ],
)
def test_mistakes_are_one_line(run, class_folders, tmp_path, monkeypatch, arguments, line):
    monkeypatch.chdir(tmp_path)
    labels = [] if "--masks" not in arguments and "--coco" not in arguments else ["--labels", "from-folder"]
    output = run("data", "folder", class_folders, tmp_path / "out", *labels, *arguments, expect=1)
    assert line in output
    assert len(output.splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("image,label\n", "found no row"),
        ("name,label\na,b\n", "found no column 'image', expected one of name, label"),
        ("image,kind\nbenign (0),b\n", "--label-column: found no column 'label'"),
        ("image,label\nnobody.png,b\n", "found no row of any image, e.g. 'nobody.png' for"),
        ("image,label\nbenign (0),a\nbenign (0).png,b\n", "found two rows that name benign/benign (0).png"),
        (b"PK\x03\x04...", "found an Excel file, expected CSV"),
    ],
)
def test_tables_that_do_not_fit_are_one_line(run, class_folders, tmp_path, text, line):
    path = tmp_path / "t.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    output = run("data", "folder", class_folders, tmp_path / "out", "--labels", path, expect=1)
    assert line in output
    assert len(output.splitlines()) == 1


def test_a_row_that_names_several_images_is_refused_and_a_path_tells_them_apart(tmp_path):
    raw = tmp_path / "raw"
    for n in range(COUNT):
        write(raw / f"site{n % 3}" / f"{n // 3}.png", photo(n))
    table = raw / "t.csv"
    table.write_text("image,label\n" + "".join(f"{n},{'ab'[n % 2]}\n" for n in range(4)))
    with pytest.raises(UmlError, match=r"found '0' for 3 images \(site0/0.png, site1/0.png, site2/0.png\)"):
        convert_raw("folder", raw, tmp_path / "no", labels=str(table))
    table.write_text(
        "image,label\n" + "".join(f"/data/site{n % 3}\\{n // 3},{'ab'[n % 2]}\n" for n in range(COUNT))
    )
    dataset, problems = convert_raw("folder", raw, tmp_path / "out", labels=str(table))
    assert problems == []
    assert by_stem(dataset)["site1_0"].label == "b"


def test_many_problems_are_counted_and_not_all_printed(run, tmp_path):
    raw = tmp_path / "raw"
    for n in range(60):
        write(raw / "ab"[n % 2] / f"{n}.png", photo(n))
        if n < 50:
            write(raw / f"masks/{n}.png", box(1, 9, 1, 9, 77))
    options = ["--images", "?/*.png", "--labels", "from-folder", "--masks", "/masks/{stem}.png"]
    output = run("data", "folder", raw, tmp_path / "out", *options, "--pixel-values", "0=background,255=x")
    assert output.count("found pixel value 77 (64 pixels), expected one of 0, 255") == 20
    assert "and 30 more left out" in output


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
