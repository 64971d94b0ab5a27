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
    assert "coco.json: found compressed run lengths, expected polygons or run lengths as a list" in problem
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
