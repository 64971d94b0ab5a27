"""The registry of converters, what they share, and the worked example of docs/extending.md."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Literal

import click
import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from extended_package import copy_with_example
from pydantic import BaseModel, Field

from uml_tf.cli.data import data
from uml_tf.cli.model_options import options_of, parse_options
from uml_tf.data.check import check_dataset
from uml_tf.data.conversion import convert
from uml_tf.data.converter import CONVERTERS, Case, Converter, ConvertOptions, RawDataset, RawOptions
from uml_tf.data.dataset import DatasetInfo, PreparedDataset
from uml_tf.data.masks import read_mask
from uml_tf.runtime.errors import UmlError

ROOT = Path(__file__).resolve().parents[2]
INFO = DatasetInfo(name="made up", image_classes=("a", "b"), pixel_classes=("background", "lesion"))


def _photo(seed, size=(40, 50)):
    small = np.random.default_rng(seed).integers(0, 255, (6, 7, 3), dtype=np.uint8)
    return cv2.resize(small, size[::-1], interpolation=cv2.INTER_CUBIC)


def _convert(cases, out, **options):
    """Converts cases that are at hand; an exception among them is raised when its turn comes."""

    def read(item):
        if isinstance(item, Exception):
            raise item
        return item

    made_up = Converter("Made up.", RawOptions, lambda raw, options: RawDataset(INFO, cases, read))
    return convert(made_up, Path("raw"), out, RawOptions(**options))


def _cases(count):
    mask = np.zeros((40, 50), np.uint8)
    mask[5:20, 5:30] = 1
    return [Case(f"case {n}", _photo(n), "ab"[n % 2], mask if n % 3 else None) for n in range(count)]


def test_arrays_contents_and_files_are_written_alike(tmp_path):
    png = cv2.imencode(".png", _photo(1)[..., ::-1])[1].tobytes()
    path = tmp_path / "c.JPEG"
    path.write_bytes(cv2.imencode(".jpg", _photo(2)[..., ::-1])[1].tobytes())
    cases = [Case("x", _photo(0), "a"), Case("y", png, "b"), Case("z", path, "a")]
    dataset, problems = _convert(cases, tmp_path / "out")
    assert problems == []
    assert [row.image for row in dataset.rows] == ["images/x.png", "images/y.png", "images/z.jpg"]
    assert (dataset.root / "images/y.png").read_bytes() == png
    assert (dataset.root / "images/z.jpg").read_bytes() == path.read_bytes()
    assert check_dataset(dataset).problems == []


def test_names_become_safe_and_unique_file_names(tmp_path):
    names = ("../a (1)", "a_1", "A 1", "眼", "")
    dataset, _ = _convert([Case(name, _photo(n), "a") for n, name in enumerate(names)], tmp_path / "out")
    stems = [Path(row.image).stem for row in dataset.rows]
    assert stems == ["a_1", "a_1_2", "A_1_3", "image", "image_2"]


def test_what_does_not_fit_is_left_out_with_a_line_each(tmp_path):
    path = tmp_path / "mask.png"
    cv2.imwrite(str(path), np.full((40, 50), 7, np.uint8))
    cases = [
        *_cases(12),
        Case("no label", _photo(20)),
        Case("other label", _photo(21), "c"),
        Case("other size", _photo(22), "a", np.zeros((9, 9), np.uint8), source="x/y.dcm"),
        Case("no class index", _photo(23), "a", path),
        Case("small", _photo(24)[:4], "a"),
        Case("no image", b"text", "a", problems=("notes.txt: found a remark",)),
        Case("missing", tmp_path / "none.png", "a"),
        UmlError("z.png: found nothing"),
        FileNotFoundError(2, "No such file or directory", "w.csv"),
    ]
    dataset, problems = _convert(cases, tmp_path / "out")
    stems = {Path(row.image).stem: row for row in dataset.rows}
    assert len(stems) == 14
    assert stems["other_size"].mask == stems["no_class_index"].mask == ""
    assert [problem.removesuffix("; left out") for problem in problems] == [
        "no label: found neither label nor mask, expected at least one",
        "other label: label: found 'c', expected one of a, b",
        "x/y.dcm: mask: found 9 x 9 pixels, expected 50 x 40 as y.dcm",
        f"{path}: found pixel value 7, expected class indices 0 to 1, "
        "254 for any region, or 255 for not known",
        "small: found 50 x 4 pixels, expected at least 8 on each side",
        "no image: not an image that can be decoded, expected PNG, JPEG, TIFF, BMP or WebP",
        f"{tmp_path / 'none.png'}: no such file",
        "z.png: found nothing",
        "w.csv: cannot be read (No such file or directory)",
    ]
    assert check_dataset(dataset).problems == []


@pytest.mark.parametrize("at", range(2))
def test_strict_stops_at_the_first_line_and_leaves_nothing(tmp_path, at):
    bad = (Case("x", b"text", "a"), Case("x", _photo(0), "a", problems=("notes.txt: found a remark",)))[at]
    with pytest.raises(UmlError, match=("x: not an image", "notes.txt: found a remark")[at]):
        _convert([*_cases(4), bad], tmp_path / "out", strict=True)
    assert list(tmp_path.iterdir()) == []


def test_nothing_that_fits_is_an_error(tmp_path):
    with pytest.raises(UmlError, match="raw: none of 1 images fits; the first: x: not an image"):
        _convert([Case("x", b"text", "a")], tmp_path / "out")


def test_subjects_groups_and_near_duplicates_each_stay_on_one_split(tmp_path):
    cases = _cases(40)
    named = [Case(c.name, c.image, c.label, c.mask, subject=f"p{n // 4}") for n, c in enumerate(cases[:20])]
    copies = [Case(c.name, c.image, c.label, c.mask, group=f"g{n // 5}") for n, c in enumerate(cases[20:])]
    twin = cases[0].image.copy()
    twin[:3, :3] = 255
    dataset, _ = _convert([*named, *copies, Case("twin", twin, "a")], tmp_path / "out", seed=3)
    split = {}
    for row in dataset.rows:
        assert split.setdefault(row.subject, row.split) == row.split
    assert dataset.rows[5].subject == "p1"  # a known patient stays named
    assert dataset.rows[-1].subject == dataset.rows[0].subject == dataset.rows[3].subject
    assert [len({row.subject for row in dataset.rows[at : at + 5]}) for at in (20, 25, 30, 35)] == [1] * 4
    alone, _ = _convert([*named, Case("twin", twin, "a")], tmp_path / "apart", near_duplicate_distance=0)
    assert alone.rows[-1].subject != alone.rows[0].subject


def test_the_split_can_be_a_test_split_alone(tmp_path):
    dataset, _ = _convert(_cases(9), tmp_path / "out", split=(0, 0, 1))
    assert {row.split for row in dataset.rows} == {"test"}
    report = check_dataset(dataset)
    assert (report.problems, len(report.notes)) == ([], 1)


def test_a_place_that_cannot_be_written_is_no_fault_of_the_images(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UmlError, match="file/out: cannot be written"):
        _convert(_cases(3), tmp_path / "file/out")


def test_every_registered_converter_is_a_command_with_its_help_and_options():
    listing = CliRunner().invoke(data, ["--help"]).output
    for name, converter in CONVERTERS.items():
        assert f"  {name} " in listing
        page = CliRunner().invoke(data, [name, "--help"]).output
        assert " ".join(converter.help.split()) in " ".join(page.split())
        assert ("RAW OUT" in page) == converter.takes_raw
        for field in converter.options.model_fields:
            assert f"--{field.replace('_', '-')}" in page


def test_help_imports_no_tensorflow_and_runs_no_converter():
    code = (
        "import sys; from click.testing import CliRunner; from uml_tf.cli.main import main;"
        "assert CliRunner().invoke(main, ['data', '--help']).exit_code == 0;"
        "heavy = {'tensorflow', 'keras', 'mlflow', 'matplotlib', 'scipy', 'pandas'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


class _Every(BaseModel):
    flag: bool = Field(default=False, description="A flag.")
    how_many: int = Field(default=3, ge=1)
    kind: Literal["a", "b"] = "a"
    pair: tuple[float, float] = (0.5, 0.5)
    note: str | None = None
    file: Path | None = None


def test_fields_become_options_of_their_type():
    seen = []
    command = click.Command("x", params=options_of(_Every), callback=lambda **values: seen.append(values))
    arguments = ["--flag", "--how-many", "4", "--kind", "b", "--pair", "1", "2", "--note", "n", "--file", "f"]
    assert CliRunner().invoke(command, arguments).exit_code == 0
    assert CliRunner().invoke(command, []).exit_code == 0
    first, default = (parse_options(_Every, values) for values in seen)
    assert first == _Every(flag=True, how_many=4, kind="b", pair=(1, 2), note="n", file=Path("f"))
    assert default == _Every()
    assert CliRunner().invoke(command, ["--kind", "c"]).exit_code == 2
    with pytest.raises(UmlError, match=r"^--how-many: found 0, expected at least 1$"):
        parse_options(_Every, {"how_many": 0})


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["phantom", "out", "--images", "9"], "--images: found 9, expected at least 10"),
        (["phantom", "out", "--seed", "-1"], "--seed: found -1, expected at least 0"),
        (["busi", "raw", "out", "--near-duplicate-distance", "300"], "found 300, expected at most 256"),
        (
            ["busi", "raw", "out", "--split", "0.5", "0.5", "0.5"],
            "--split: found (0.5, 0.5, 0.5), expected three",
        ),
    ],
)
def test_a_value_out_of_range_is_one_line(uml_tf_command, tmp_path, arguments, line):
    done = uml_tf_command("data", *arguments, cwd=tmp_path, expect=1)
    assert line in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_an_option_of_the_shared_model_is_inherited_by_all():
    assert all(issubclass(converter.options, ConvertOptions) for _, converter in CONVERTERS.items())


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """The package as it is installed, in a copy, with the worked example added."""
    return copy_with_example(tmp_path_factory.mktemp("tree"), "uml_tf/data/converters/flat.py")


def _run(tree, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "uml_tf.cli.main", "data", *map(str, arguments)],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_worked_example_converts(tree, tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    for n in range(30):
        stem = f"{('benign', 'malignant')[n % 2]}_{n // 3:04d}_{n}"
        cv2.imwrite(str(raw / f"{stem}.jpg"), _photo(n))
        if n % 2 and n != 5:
            mask = np.zeros((40, 50), np.uint8)
            mask[5:15, 5:25] = 255
            cv2.imwrite(str(raw / f"{stem}_mask.png"), mask if n != 7 else mask[:20])
    (raw / "odd.jpg").write_bytes((raw / "benign_0000_0.jpg").read_bytes())
    assert "flat" in _run(tree, "--help").stdout
    assert "--labels-only" in _run(tree, "flat", "--help").stdout
    done = _run(tree, "flat", raw, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "odd.jpg: found this name, expected CLASS_PATIENT_NUMBER.jpg; left out" in done.stderr
    assert "found 50 x 20 pixels, expected 50 x 40 as malignant_0002_7.jpg; left out" in done.stderr
    check = _run(tree, "check", tmp_path / "out")
    assert check.returncode == 0, check.stdout
    assert "no problems found" in check.stdout
    dataset = PreparedDataset.open(tmp_path / "out")
    rows = {Path(row.image).stem: row for row in dataset.rows}
    assert len(rows) == 30
    assert sum(bool(row.mask) for row in dataset.rows) == 13
    assert read_mask(dataset.root / rows["malignant_0001_3"].mask).sum() == 200
    assert rows["malignant_0001_3"].subject == rows["benign_0001_4"].subject == "0001"
    bare = _run(tree, "flat", raw, tmp_path / "bare", "--labels-only")
    assert "0 with a mask" in bare.stdout
    strict = _run(tree, "flat", raw, tmp_path / "strict", "--strict")
    assert strict.returncode == 1
    assert not (tmp_path / "strict").exists()


def test_the_worked_example_is_tidy(tree):
    """By the project's own linter, as it would lie in the tree."""
    example = tree / "uml_tf/data/converters/flat.py"
    ruff = Path(sys.executable).parent / "ruff"
    if not ruff.is_file():
        pytest.skip("ruff is not installed: NOT CHECKED")
    for check in (["check", "--no-cache"], ["format", "--check", "--no-cache"]):
        command = [ruff, *check, "--config", ROOT / "pyproject.toml", example]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout
