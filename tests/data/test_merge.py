"""``uml-tf data merge``: several prepared sets as one."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import cv2
import numpy as np
import pytest
from raw_files import photo, write

from uml_tf.data.check import check_dataset
from uml_tf.data.dataset import DatasetInfo, PreparedDataset, Row, write_dataset
from uml_tf.data.masks import read_mask
from uml_tf.data.merge import merge
from uml_tf.data.reading import read_agreement
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.regions import ANY_REGION_PIXEL, UNKNOWN_PIXEL

FULL = ("background", "rim", "cup")
UNIONS = {"disc": ("rim", "cup")}


def _prepared(root, name, seed, pixel_classes=FULL, mask=None, agreement=False, **info):
    """Nine images, three on each split, every second with a mask."""
    rows = []
    for n in range(9):
        image, stem = f"images/{n}.png", f"{n}.png"
        write(root / image, photo(seed + n))
        has_mask = mask is not None and n % 2 == 0
        if has_mask:
            write(root / "masks" / stem, mask)
            if agreement:
                write(root / "agreement" / stem, np.eye(3, dtype=np.uint8)[mask % 3] * 255)
        rows.append(
            Row(
                image,
                f"masks/{stem}" if has_mask else "",
                ("normal", "glaucoma")[n % 2] if n else "",
                ("train", "val", "test")[n // 3],
                f"p{n // 3}{n % 2}" if n < 8 else "",
                agreement=f"agreement/{stem}" if has_mask and agreement else "",
                vertical_cup_to_disc_ratio="0.4" if agreement else "",
            )
        )
    settings = {"image_classes": ("normal", "glaucoma"), **info}
    return write_dataset(root, DatasetInfo(name=name, pixel_classes=pixel_classes, **settings), rows)


def _mask(*values):
    """Stripes of pixel values."""
    mask = np.zeros((40, 50), np.uint8)
    for place, value in enumerate(values):
        mask[:, 10 * place : 10 * place + 10] = value
    return mask


def _merged_mask(merged, source):
    row = next(row for row in merged.rows if row.dataset == source and row.mask)
    return [int(value) for value in read_mask(merged.root / row.mask)[0, 5::10]]


def test_splits_subjects_files_and_sources_are_kept_apart(tmp_path):
    first = _prepared(
        tmp_path / "a", "A", 0, mask=_mask(0, 1, 2), agreement=True, unions=UNIONS, licence="mine"
    )
    second = _prepared(tmp_path / "b", "B", 50, image_classes=("glaucoma", "normal"), licence="yours")
    merged, notes = merge([first, second], tmp_path / "out")
    assert len(notes) == 1
    assert merged.info.name == "A + B"
    assert merged.info.licence == "mine; yours"
    assert merged.info.image_classes == ("normal", "glaucoma")
    assert merged.info.unions == UNIONS
    assert {row.ratio for row in merged.rows if row.dataset == "A"} == {0.4}
    assert all(np.isnan(row.ratio) for row in merged.rows if row.dataset == "B")
    assert len(merged.rows) == 18 - 1  # the image of B without label and mask
    for source in (first, second):
        mine = [row for row in merged.rows if row.dataset == source.info.name]
        known = [row for row in source.rows if row.label or row.mask]
        for row, original in zip(mine, known, strict=True):
            assert (row.split, row.label, bool(row.mask)) == (
                original.split,
                original.label,
                bool(original.mask),
            )
            assert row.subject == (f"{row.dataset}/{original.subject}" if original.subject else "")
            assert (merged.root / row.image).read_bytes() == (source.root / original.image).read_bytes()
    assert len({row.image for row in merged.rows}) == len(merged.rows)
    assert check_dataset(merged).problems == []
    row = next(row for row in merged.rows if row.agreement)
    np.testing.assert_allclose(read_agreement(merged, row)[0, 5], (1, 0, 0))
    header = (merged.root / "manifest.csv").read_text().splitlines()[0]
    assert header == "image,mask,label,split,subject,agreement,dataset,vertical_cup_to_disc_ratio"


def test_grades_follow_the_order_of_the_merged_classes(tmp_path):
    first = _prepared(tmp_path / "a", "A", 0)
    second = _prepared(tmp_path / "b", "B", 50, image_classes=("glaucoma", "normal"))
    rows = [replace(row, grades="1 4" if row.label == "normal" else "") for row in second.rows]
    merged, _ = merge([first, write_dataset(second.root, second.info, rows)], tmp_path / "out")
    assert merged.info.image_classes == ("normal", "glaucoma")
    assert {row.grades for row in merged.rows if row.dataset == "A"} == {""}
    assert {row.grades for row in merged.rows if row.dataset == "B" and row.label == "normal"} == {"4 1"}
    assert {row.grades for row in merged.rows if row.label == "glaucoma"} == {""}


def test_a_row_of_which_nothing_is_known_is_left_out_with_a_note(tmp_path):
    first = _prepared(tmp_path / "a", "A", 0, mask=_mask(0, 1))
    second = _prepared(tmp_path / "b", "B", 50)
    merged, notes = merge([first, second], tmp_path / "out")
    assert [note.split(": ", 1)[1] for note in notes] == ["nothing of it is known here; left out"]
    listed = {row.image for row in merged.rows}
    assert {f"images/{path.name}" for path in (merged.root / "images").iterdir()} == listed


@pytest.mark.parametrize(
    ("classes", "stored", "expected"),
    [
        (FULL, (0, 1, 2, 255), [0, 1, 2, 255, 0]),
        (("background", "cup", "rim"), (0, 1, 2, 255), [0, 2, 1, 255, 0]),
        (FULL, (0, 1, 254, 255), [0, 1, ANY_REGION_PIXEL, 255, 0]),
        # The disc is marked, without its cup: inside it is one of the two, outside is background.
        (("background", "disc"), (0, 1, 255), [0, ANY_REGION_PIXEL, UNKNOWN_PIXEL, 0, 0]),
        (("background", "disc"), (0, 254), [0, ANY_REGION_PIXEL, 0, 0, 0]),
        # The cup alone is marked: what is no cup may be rim.
        (("background", "cup"), (0, 1), [UNKNOWN_PIXEL, 2, UNKNOWN_PIXEL, UNKNOWN_PIXEL, UNKNOWN_PIXEL]),
        (("background", "cup"), (1, 254), [2, UNKNOWN_PIXEL, UNKNOWN_PIXEL, UNKNOWN_PIXEL, UNKNOWN_PIXEL]),
    ],
)
def test_pixel_classes_that_a_source_does_not_mark_are_not_known(tmp_path, classes, stored, expected):
    full = _prepared(tmp_path / "a", "A", 0, mask=_mask(0, 1, 2), unions=UNIONS)
    part = _prepared(tmp_path / "b", "B", 50, classes, mask=_mask(*stored))
    for order in ([full, part], [part, full]):
        merged, _ = merge(order, tmp_path / f"out{len(list(tmp_path.iterdir()))}")
        assert merged.info.pixel_classes == (FULL if len(classes) < 3 or order[0] is full else classes)
        found = _merged_mask(merged, "B")
        if merged.info.pixel_classes == FULL:
            assert found == expected
            assert _merged_mask(merged, "A") == [0, 1, 2, 0, 0]
        assert check_dataset(merged).problems == []


def test_a_union_of_some_of_the_foreground_classes_is_not_known(tmp_path):
    full = _prepared(tmp_path / "a", "A", 0, (*FULL, "vessel"), mask=_mask(0, 1, 2, 3), unions=UNIONS)
    part = _prepared(tmp_path / "b", "B", 50, ("background", "disc", "vessel"), mask=_mask(0, 1, 2))
    two = _prepared(tmp_path / "c", "C", 99, mask=_mask(0, 1, 254))
    merged, _ = merge([full, part, two], tmp_path / "out")
    assert _merged_mask(merged, "B") == [0, UNKNOWN_PIXEL, 3, 0, 0]
    # Its 254 is rim or cup and no vessel, which the merged set has no value for.
    assert _merged_mask(merged, "C") == [UNKNOWN_PIXEL, 1, UNKNOWN_PIXEL, UNKNOWN_PIXEL, UNKNOWN_PIXEL]


def test_a_mask_that_tells_nothing_of_the_merged_classes_is_no_mask(tmp_path):
    full = _prepared(tmp_path / "a", "A", 0, mask=_mask(0, 1, 2))
    part = _prepared(tmp_path / "b", "B", 50, ("background", "cup"), mask=_mask(0))
    merged, _ = merge([full, part], tmp_path / "out")
    assert not any(row.mask for row in merged.rows if row.dataset == "B")


@pytest.mark.parametrize(
    ("classes", "info", "line"),
    [
        (
            FULL,
            {"image_classes": ("normal", "ill")},
            "b/dataset.yaml: image_classes: found normal, ill, expected",
        ),
        (
            ("background", "vessel"),
            {},
            "b/dataset.yaml: pixel_classes: found 'vessel', expected a class or union",
        ),
        (
            FULL,
            {"unions": {"disc": ("rim",)}},
            "b/dataset.yaml: unions.disc: found rim, expected rim, cup as in",
        ),
    ],
)
def test_classes_that_do_not_fit_are_refused_and_nothing_is_left(run, tmp_path, classes, info, line):
    _prepared(tmp_path / "a", "A", 0, unions=UNIONS)
    _prepared(tmp_path / "b", "B", 50, classes, **info)
    output = run("data", "merge", tmp_path / "a", tmp_path / "b", tmp_path / "out", expect=1)
    assert line in output
    assert len(output.splitlines()) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b"}


def test_sets_of_one_name_and_sets_that_were_merged_before(tmp_path):
    first, second, third = (_prepared(tmp_path / name, "A", 20 * n) for n, name in enumerate("abc"))
    both, _ = merge([first, second], tmp_path / "both")
    assert {row.dataset for row in both.rows} == {"A", "A 2"}
    subject = next(row.subject for row in both.rows if row.dataset == "A 2")
    again, _ = merge([both, third], tmp_path / "again", name="all")
    assert again.info.name == "all"
    assert {row.dataset for row in again.rows} == {"A", "A 2", "A 3"}
    kept = {row.subject for row in again.rows if row.dataset == "A 2"}
    assert subject in kept
    assert not kept & {row.subject for row in again.rows if row.dataset in ("A", "A 3")} - {""}


def test_an_image_that_is_on_two_splits_is_noted(tmp_path):
    first, second = (_prepared(tmp_path / name, name.upper(), 0) for name in "ab")
    rows = [Row(**{**vars(row), "split": "test"}) for row in second.rows]
    merged, notes = merge([first, write_dataset(second.root, second.info, rows)], tmp_path / "out")
    assert sum("is the same file as" in note for note in notes) == 5
    assert len(merged.rows) == 16


def test_a_damaged_mask_is_named(tmp_path):
    first = _prepared(tmp_path / "a", "A", 0, mask=_mask(0, 1, 2))
    second = _prepared(tmp_path / "b", "B", 50, mask=_mask(0, 7))
    with pytest.raises(UmlError, match=r"b/masks/0.png: found pixel value 7, expected a class index"):
        merge([first, second], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_optional_columns_leave_old_sets_as_they_were(phantoms, tmp_path):
    manifest = (phantoms.root / "manifest.csv").read_text()
    assert manifest.splitlines()[0] == "image,mask,label,split,subject"
    assert all(row.dataset == row.agreement == "" for row in phantoms.rows)
    digest = hashlib.sha256()
    for name in ("dataset.yaml", "manifest.csv"):
        digest.update((phantoms.root / name).read_bytes())
    for row in phantoms.rows:
        for path in (row.image, row.mask):
            digest.update(hashlib.sha256((phantoms.root / path).read_bytes()).digest())
    assert phantoms.fingerprint == digest.hexdigest()  # as it was computed before there were these columns
    (tmp_path / "again").mkdir()
    write_dataset(tmp_path / "again", phantoms.info, phantoms.rows)
    assert (tmp_path / "again/manifest.csv").read_text() == manifest


def test_the_command_tells_the_sources(run, tmp_path):
    _prepared(tmp_path / "a", "A", 0, mask=_mask(0, 1, 2))
    _prepared(tmp_path / "b", "B", 50)
    output = run("data", "merge", tmp_path / "a", tmp_path / "b", tmp_path / "out", "--name", "eyes")
    assert "A: 9 images, 5 with a mask" in output
    assert "B: 8 images, 0 with a mask" in output
    assert "written to" in output
    assert PreparedDataset.open(tmp_path / "out").info.name == "eyes"
    assert "at least two data sets before OUT" in run(
        "data", "merge", tmp_path / "a", tmp_path / "x", expect=2
    )


def test_the_real_glaucoma_set_is_two_sets_merged(run, real_drishti, real_origa, tmp_path):
    run("data", "merge", real_drishti[0].root, real_origa[0].root, tmp_path / "out")
    merged = PreparedDataset.open(tmp_path / "out")
    sources = {name: [row for row in merged.rows if row.dataset == name] for name in ("drishti", "origa")}
    assert {name: len(rows) for name, rows in sources.items()} == {"drishti": 50, "origa": 400}
    assert sum(bool(row.mask) for row in sources["drishti"]) == 50
    assert not any(row.mask for row in sources["origa"])
    assert {row.label for row in merged.rows} == {"normal", "glaucoma"}
    assert cv2.imread(str(merged.root / sources["origa"][0].image)).shape == (512, 768, 3)
