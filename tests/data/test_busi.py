from __future__ import annotations

import csv
from collections import Counter, defaultdict

import cv2
import numpy as np
import pytest
from PIL import Image

from uml_tf.data.check import check_dataset
from uml_tf.data.conversion import convert
from uml_tf.data.converter import CONVERTERS
from uml_tf.data.masks import read_mask
from uml_tf.runtime.errors import UmlError


def _convert(raw, out, **options):
    converter = CONVERTERS["busi"]
    return convert(converter, raw, out, converter.options(**options))


def _write(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)


@pytest.fixture
def raw(tmp_path):
    """A small folder in the published convention, with a second lesion, a twin and a misfit."""
    rng = np.random.default_rng(0)
    root = tmp_path / "raw"
    for name in ("benign", "malignant", "normal"):
        for n in range(1, 9):
            image = cv2.resize(rng.integers(0, 255, (6, 7), dtype=np.uint8), (70 + n, 60))
            mask = np.zeros((60, 70 + n), np.uint8)
            if name != "normal":
                mask[10:20, 5:25] = 255
            _write(root / name / f"{name} ({n}).png", image)
            if n < 6:
                _write(root / name / f"{name} ({n})_mask.png", mask)
    second = np.zeros((60, 71), np.uint8)
    second[40:50, 40:60] = 255
    _write(root / "benign/benign (1)_mask_1.png", second)
    _write(root / "benign/benign (2)_mask_1.png", np.zeros((30, 30), np.uint8))
    twin = cv2.imread(str(root / "benign/benign (3).png"))
    twin[:4, :4] = 255  # a cursor
    _write(root / "benign/benign (8).png", twin)
    return root


def _by_name(dataset):
    return {row.image.split("/")[-1][:-4]: row for row in dataset.rows}


def test_conversion(raw, tmp_path):
    dataset, problems = _convert(raw, tmp_path / "out")
    rows = _by_name(dataset)
    assert len(rows) == 24
    union = read_mask(dataset.root / rows["benign_1"].mask)
    assert union[15, 10] == union[45, 50] == 1
    assert set(np.unique(union)) == {0, 1}
    assert rows["benign_7"].mask == ""
    assert rows["benign_3"].subject == rows["benign_8"].subject
    assert rows["benign_3"].split == rows["benign_8"].split
    assert check_dataset(dataset).problems == []
    (problem,) = problems
    assert "benign (2)_mask_1.png" in problem
    assert problem.endswith("(the mask of the other files of benign (2).png is kept); left out")
    assert "found 30 x 30 pixels, expected 72 x 60" in problem
    assert rows["benign_2"].mask != ""


def test_strict_stops_and_leaves_nothing(raw, tmp_path):
    with pytest.raises(UmlError, match=r"benign \(2\)_mask_1.png"):
        _convert(raw, tmp_path / "out", strict=True)
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]


def test_normal_images_get_empty_masks_on_request(raw, tmp_path):
    dataset, _ = _convert(raw, tmp_path / "out", empty_normal_masks=True)
    assert all(row.mask for row in dataset.rows if row.label == "normal")
    assert any(not row.mask for row in dataset.rows if row.label == "benign")


@pytest.mark.parametrize("place", ["raw/more", "elsewhere"])
def test_extra_masks_are_for_images_without_one_beside(raw, tmp_path, place):
    for name, n in (("benign", 6), ("malignant", 6), ("normal", 6), ("benign", 1)):
        mask = np.zeros((60, 70 + n), np.uint8)
        mask[5:9, 5:9] = 255 * (name != "normal")
        _write(tmp_path / place / name / f"{name} ({n})_mask.png", mask)
    folder = "more" if place == "raw/more" else tmp_path / place
    dataset, _ = _convert(raw, tmp_path / "out", extra_masks=folder)
    rows = _by_name(dataset)
    assert read_mask(dataset.root / rows["benign_6"].mask).sum() == 16
    assert read_mask(dataset.root / rows["normal_6"].mask).sum() == 0
    assert read_mask(dataset.root / rows["benign_1"].mask)[15, 10] == 1
    assert rows["benign_7"].mask == ""
    assert len(rows) == 24
    without, _ = _convert(raw, tmp_path / "without")
    assert _by_name(without)["benign_6"].mask == ""
    with pytest.raises(UmlError, match="--extra-masks: found no folder nowhere"):
        _convert(raw, tmp_path / "no", extra_masks="nowhere")


def test_known_groups_are_kept_together(raw, tmp_path):
    with (raw / "groups.csv").open("w") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "near_duplicate_group"])
        writer.writerows([["benign/benign (4).png", "7"], ["malignant/malignant (4).png", "7"]])
    rows = _by_name(_convert(raw, tmp_path / "out")[0])
    assert rows["benign_4"].subject == rows["malignant_4"].subject


def test_a_damaged_image_is_left_out_and_a_damaged_mask_leaves_its_image(raw, tmp_path):
    (raw / "normal/normal (8).png").write_bytes(b"no image")
    (raw / "benign/benign (4)_mask.png").write_bytes(b"no image")
    dataset, problems = _convert(raw, tmp_path / "out")
    rows = _by_name(dataset)
    assert "normal_8" not in rows
    assert rows["benign_4"].mask == ""
    assert all(problem.endswith("; left out") for problem in problems)
    named = "\n".join(problems)
    for name in ("normal (8).png", "benign (4)_mask.png", "benign (2)_mask_1.png"):
        assert f"{name}: " in named
    assert len(problems) == 3


def test_a_black_and_white_palette_is_read_by_its_colours(raw, tmp_path):
    path = raw / "benign/benign (5)_mask.png"
    mask = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    with_palette = Image.fromarray((mask > 0).astype(np.uint8), "P")
    with_palette.putpalette([0, 0, 0, 255, 255, 255])
    with_palette.save(path)
    rows = _by_name(_convert(raw, tmp_path / "out")[0])
    np.testing.assert_array_equal(read_mask(tmp_path / "out" / rows["benign_5"].mask), mask > 0)


def test_masks_of_0_and_1_show_their_lesion_and_one_of_1_alone_is_told(raw, tmp_path):
    for n, top in ((3, 10), (4, 0)):
        drawn = np.zeros((60, 70 + n), np.uint8)
        drawn[top:] = 1
        _write(raw / f"malignant/malignant ({n})_mask.png", drawn)
    dataset, problems = _convert(raw, tmp_path / "out")
    rows = _by_name(dataset)
    assert read_mask(dataset.root / rows["malignant_3"].mask).sum() == 50 * 73
    assert rows["malignant_4"].mask == ""
    (problem,) = [line for line in problems if "malignant" in line]
    assert "malignant (4)_mask.png: found grey values 1 alone, expected black, and the region in" in problem


def test_empty_folder_is_refused(tmp_path):
    with pytest.raises(UmlError, match=r"found no 'CLASS/CLASS \(N\).png'"):
        _convert(tmp_path, tmp_path / "out")


def test_real_images(busi_raw, tmp_path):
    dataset, problems = _convert(busi_raw, tmp_path / "out")
    assert len(dataset.rows) == 529
    assert sum(bool(row.mask) for row in dataset.rows) == 119
    (problem,) = problems
    assert "benign (4)_mask_1.png" in problem
    groups = defaultdict(set)
    split = {row.image: row.split for row in dataset.rows}
    with (busi_raw / "groups.csv").open() as file:
        for record in csv.DictReader(file):
            stem = record["image"].split("/")[-1][:-4].replace(" (", "_").replace(")", "")
            groups[record["near_duplicate_group"]].add(split[f"images/{stem}.png"])
    assert all(len(splits) == 1 for splits in groups.values())
    labels = Counter((row.split, row.label) for row in dataset.rows)
    assert min(labels.values()) >= 8


def test_real_images_with_all_masks(busi_raw, tmp_path):
    dataset, problems = _convert(busi_raw, tmp_path / "out", extra_masks="labels_only_masks")
    assert len(problems) == 1
    assert len(dataset.rows) == 529
    assert all(row.mask for row in dataset.rows)
    empty = [row for row in dataset.rows if not read_mask(dataset.root / row.mask).any()]
    assert {row.label for row in empty} == {"normal"}
    assert len(empty) == 93
