"""``uml-tf data folder``: mistakes in its options, tables and files are a line each."""

from __future__ import annotations

import pytest
from raw_files import COUNT, box, by_stem, convert_raw, photo, write

from uml_tf.runtime.errors import UmlError


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
        ([], "expected at least two image classes: --labels from-folder or --labels FILE.csv"),
        (
            ["--labels", "from-folder"],
            " files), expected --masks '{stem}_mask*' (and --pixel-values for the classes of its pixels), "
            "or --images if they are images",
        ),
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
