"""``uml-tf data folder``: masks as palettes, colours, ranges of grey and one file for each class."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image
from raw_files import COUNT, box, by_stem, convert_raw, mask_of, photo, write

from uml_tf.runtime.regions import UNKNOWN_PIXEL

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
    np.testing.assert_array_equal(mask_of(dataset, "3"), labels)


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
    mask = mask_of(dataset, "3")
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
    assert abs(int(mask_of(dataset, "0").sum()) - 400) < 40
    dataset, problems = convert_raw(
        "folder",
        raw,
        tmp_path / "deep-out",
        masks="/deep/{stem}.png",
        pixel_values="0=background,51000=x",
        **options,
    )
    assert problems == []
    assert mask_of(dataset, "0").sum() == 400


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
    mask = mask_of(dataset, "4")
    assert ((mask == 1).sum(), (mask == 2).sum()) == (300, 100)
    assert (mask_of(dataset, "2") == 2).sum() == 0
    first = mask_of(dataset, "0")
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


@pytest.mark.parametrize("damaged", [True, False])
def test_one_misfit_of_several_mask_files_leaves_the_image_its_label_alone(class_folders, tmp_path, damaged):
    path = class_folders / "benign/benign (0)_mask_1.png"
    if damaged:
        path.write_bytes(b"no image")
    else:
        write(path, box(1, 3, 1, 3, size=(20, 20)))
    dataset, problems = convert_raw(
        "folder", class_folders, tmp_path / "out", labels="from-folder", masks="{stem}_mask*.png"
    )
    (problem,) = problems
    assert "benign (0)_mask_1.png: " in problem
    assert problem.endswith("; with it the other mask files of benign (0).png; left out")
    row = by_stem(dataset)["benign_0"]
    assert (row.label, row.mask) == ("benign", "")
    assert mask_of(dataset, "benign_2").any()
