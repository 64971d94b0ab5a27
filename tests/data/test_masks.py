from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image

from uml_tf.data.masks import read_foreground, read_mask, read_union
from uml_tf.runtime.errors import UmlError

PALETTE = [0, 0, 0, 128, 0, 0, 0, 128, 0]  # as annotation tools colour classes 0, 1 and 2


@pytest.fixture
def labels():
    return np.random.default_rng(0).integers(0, 3, (40, 50)).astype(np.uint8)


@pytest.mark.parametrize(
    ("suffix", "options"),
    [(".png", {}), (".png", {"bits": 2}), (".png", {"transparency": 0}), (".tif", {}), (".bmp", {})],
)
def test_palette_indices_are_the_labels(tmp_path, labels, suffix, options):
    image = Image.fromarray(labels, "P")
    image.putpalette(PALETTE)
    path = tmp_path / f"mask{suffix}"
    image.save(path, **options)
    np.testing.assert_array_equal(read_mask(path), labels)


def test_grey_and_three_equal_channels_are_read_as_stored(tmp_path, labels):
    for name, stored in (("grey.png", labels), ("rgb.png", np.dstack([labels] * 3))):
        cv2.imwrite(str(tmp_path / name), stored)
        np.testing.assert_array_equal(read_mask(tmp_path / name), labels)


def test_what_is_no_mask_is_refused_in_one_line(tmp_path, labels):
    path = tmp_path / "mask.png"
    cv2.imwrite(str(path), np.dstack([labels, labels, 2 - labels]))
    with pytest.raises(UmlError, match=r"mask.png: found colours, expected a mask with one channel"):
        read_mask(path)
    cv2.imwrite(str(path), labels.astype(np.uint16))
    with pytest.raises(UmlError, match="found uint16 pixels, expected an 8-bit mask"):
        read_mask(path)
    path.write_text("no image")
    with pytest.raises(UmlError, match=r"mask.png: not an image"):
        read_mask(path)
    with pytest.raises(UmlError, match=r"none.png: no such file"):
        read_mask(tmp_path / "none.png")


def test_foreground_is_what_is_bright_whatever_the_format(tmp_path, labels):
    region = labels > 0
    picture = Image.fromarray(region.astype(np.uint8), "P")
    picture.putpalette([0, 0, 0, 255, 255, 255])
    picture.save(tmp_path / "palette.png")
    Image.fromarray(region).save(tmp_path / "one-bit.png")
    cv2.imwrite(str(tmp_path / "grey.jpg"), cv2.resize(region.astype(np.uint8) * 255, (50, 40)))
    for name in ("palette.png", "one-bit.png"):
        np.testing.assert_array_equal(read_foreground(tmp_path / name), region)
    assert (read_foreground(tmp_path / "grey.jpg") == region).mean() > 0.95


@pytest.mark.parametrize("value", [1, 100, 255])
def test_a_region_beside_black_has_any_value(tmp_path, value):
    drawn = np.zeros((40, 50), np.uint8)
    drawn[5:15, 5:25] = value
    cv2.imwrite(str(tmp_path / "mask.png"), drawn)
    np.testing.assert_array_equal(read_foreground(tmp_path / "mask.png"), drawn > 0)


def test_one_value_alone_is_all_or_nothing_only_where_it_is_black_or_bright(tmp_path):
    path = tmp_path / "mask.png"
    for value in (0, 255):
        cv2.imwrite(str(path), np.full((40, 50), value, np.uint8))
        assert (read_foreground(path) == (value > 0)).all()
    for picture, found in ((np.ones((40, 50)), "1 alone"), (np.tile([0, 1, 2, 3], (40, 10)), "0 to 3")):
        cv2.imwrite(str(path), picture.astype(np.uint8))
        with pytest.raises(UmlError, match=rf"mask.png: found grey values {found}, expected black, and the"):
            read_foreground(path)


def test_union_leaves_out_what_does_not_fit(tmp_path):
    first, second = np.zeros((40, 50), np.uint8), np.zeros((40, 50), np.uint8)
    first[:10], second[30:] = 255, 255
    for name, picture in (("a.png", first), ("b.png", second), ("c.png", first[:20])):
        cv2.imwrite(str(tmp_path / name), picture)
    (tmp_path / "d.png").write_text("no image")
    union, problems = read_union([tmp_path / f"{n}.png" for n in "abcd"], (40, 50), "x.png")
    np.testing.assert_array_equal(union, (first | second) > 0)
    assert len(problems) == 2
    assert "c.png: found 50 x 20 pixels, expected 50 x 40 as x.png" in problems[0]
    assert read_union([], (40, 50), "x.png") == (None, [])
