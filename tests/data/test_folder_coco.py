"""``uml-tf data folder --coco``: polygons, run lengths and categories."""

from __future__ import annotations

import json

import numpy as np
import pytest
from raw_files import COUNT, box, by_stem, convert_raw, mask_of, photo, write

from uml_tf.data.raw.outlines import decode_run_lengths, fill_ellipse, fill_polygon
from uml_tf.runtime.errors import UmlError


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
    assert (
        "coco.json: 2.png: segmentation: found compressed run lengths, expected polygons or run lengths as a"
        in problem
    )
    assert dataset.info.pixel_classes == ("background", "rim", "cup")
    mask = mask_of(dataset, "0")
    assert (mask == 2).sum() == 80
    assert (mask == 1).sum() == pytest.approx(400 - 80 + 32, abs=5)
    np.testing.assert_array_equal(mask_of(dataset, "1") == 2, box(20, 30, 30, 40) > 0)
    assert (mask_of(dataset, "5") == 0).all()
    rows = by_stem(dataset)
    assert rows["2"].mask == rows["11"].mask == ""


def test_coco_categories_can_be_named_anew(coco, tmp_path):
    options = {"labels": "from-folder", "coco": "coco.json"}
    dataset, _ = convert_raw("folder", coco, tmp_path / "one", pixel_values="rim=disc,9=disc", **options)
    assert dataset.info.pixel_classes == ("background", "disc")
    assert (mask_of(dataset, "0") == 1).sum() == pytest.approx(432, abs=5)
    with pytest.raises(UmlError, match="found category 'cup', expected one of"):
        convert_raw("folder", coco, tmp_path / "two", pixel_values="rim=disc,other=background", **options)


def _changed(raw, part, number, **fields):
    path = raw / "coco.json"
    data = json.loads(path.read_text())
    data[part][number] |= fields
    path.write_text(json.dumps(data))


@pytest.mark.parametrize(
    ("segmentation", "found"),
    [
        ([], "found [] (a box alone?), expected polygons or run lengths"),
        (None, "found null (a box alone?), expected polygons or run lengths"),
        ([1, 2, 9, 2, 9, 8], "found 1 for a polygon, expected a list of numbers in a list of polygons"),
        ([[1, 2, 9, 2, 9, None]], "found [1, 2, 9, 2, 9, null] for a polygon, expected a list of numbers"),
        ([[1, 2, 9, 2, float("nan"), 8]], "found [1, 2, 9, 2, NaN, 8] for a polygon, expected a list of"),
        ([[1, 2, 9, 2, 9]], "found a polygon of 5 numbers, expected x and y of 3 corners"),
        ({"size": [40, 50], "counts": [2000.0]}, "expected polygons or run lengths as a list of numbers"),
        ({"size": None, "counts": [2000]}, "found run lengths of size None, expected [40, 50]"),
    ],
)
def test_an_area_that_is_none_leaves_its_image_the_label_alone(coco, tmp_path, segmentation, found):
    _changed(coco, "annotations", 1, segmentation=segmentation)
    dataset, problems = convert_raw("folder", coco, tmp_path / "out", labels="from-folder", coco="coco.json")
    (problem,) = [line for line in problems if "compressed" not in line]
    assert "coco.json: 0.png: segmentation: found " in problem
    assert found in problem
    row = by_stem(dataset)["0"]
    assert (row.label, row.mask) == ("a", "")
    assert (mask_of(dataset, "5") == 0).all()


@pytest.mark.parametrize(
    ("part", "number", "fields", "line"),
    [
        ("categories", 0, {"id": "a"}, "coco.json: category 'cup': id: found 'a', expected a whole number"),
        ("categories", 1, {"id": None}, "coco.json: category 'rim': id: found 'None', expected a whole"),
        ("images", 3, {"height": None}, "coco.json: 3.png: height: found 'None', expected a whole number"),
        ("images", 3, {"width": 50.5}, "coco.json: 3.png: width: found '50.5', expected a whole number"),
    ],
)
def test_a_number_that_is_none_is_refused_in_one_line(coco, tmp_path, part, number, fields, line):
    _changed(coco, part, number, **fields)
    with pytest.raises(UmlError) as refused:
        convert_raw("folder", coco, tmp_path / "out", labels="from-folder", coco="coco.json")
    assert line in str(refused.value)
    assert not (tmp_path / "out").exists()


def test_a_size_may_have_a_decimal_point_and_another_size_names_its_image(coco, tmp_path):
    _changed(coco, "images", 0, height=40.0, width=50.0)
    _changed(coco, "images", 1, height=41)
    dataset, problems = convert_raw("folder", coco, tmp_path / "out", labels="from-folder", coco="coco.json")
    assert mask_of(dataset, "0").any()
    assert any("coco.json: 1.png: found 50 x 41 pixels, expected 50 x 40; left out" in p for p in problems)


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
