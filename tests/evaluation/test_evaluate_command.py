"""``uml-tf evaluate`` on several data sets, and the table of images beside every evaluation."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path

import pytest

NAME = "fundus-phantoms"
"""Folder of the results on the phantoms."""


@pytest.fixture(scope="module")
def two_sets(trained, phantoms, uml_tf_command, tmp_path_factory):
    """The output folder of one evaluation on the phantoms and on a merged set of them."""
    merged = shutil.copytree(phantoms.root, tmp_path_factory.mktemp("merged") / "set")
    rows = list(csv.DictReader((merged / "manifest.csv").open()))
    for number, row in enumerate(rows):
        row["dataset"] = "labels" if number % 2 else "masks"
        if number % 2:
            row["mask"] = ""
    with (merged / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    out = merged.parent / "out"
    arguments = ("--data", phantoms.root, "--data", merged, "--out", out)
    return out, uml_tf_command("evaluate", "last", *arguments, cwd=trained[0])


def test_each_data_set_has_a_folder_and_a_row_of_the_overview(two_sets, trained, phantoms):
    out, done = two_sets
    assert phantoms.info.name == "fundus phantoms"
    name = NAME
    assert {path.name for path in out.iterdir()} == {"overview.md", "overview.csv", name, f"{name}-2"}
    assert (out / "overview.md").read_text() in done.stdout
    numbers = Path(re.search(r"^numbers +(\S+)$", trained[1].stdout, re.M)[1])
    expected, found = (json.loads(path.read_text()) for path in (numbers, out / name / "metrics.json"))
    assert found.keys() == expected.keys()
    assert found["accuracy"] == expected["accuracy"]
    table = list(csv.DictReader((out / "overview.csv").open()))
    (accuracy,) = [
        row for row in table if (row["dataset"], row["source"], row["metric"]) == (name, "", "accuracy")
    ]
    assert float(accuracy["value"]) == found["accuracy"]["value"]


def test_training_and_evaluation_leave_the_same_table_of_images(two_sets, trained, phantoms):
    out, _ = two_sets
    folder = Path(re.search(r"^numbers +(\S+)$", trained[1].stdout, re.M)[1]).parent
    written, again = (
        list(csv.DictReader(path.open())) for path in (folder / "images.csv", out / NAME / "images.csv")
    )
    assert [row["image"] for row in written] == [row.image for row in phantoms.split("test")]
    for one, other in zip(written, again, strict=True):
        assert (one["image"], one["predicted"], one["decision"]) == (
            other["image"],
            other["predicted"],
            other["decision"],
        )
        assert one["decision"] in ("accept", "refer", "ungradable")
        for column in ("class_uncertainty", "foreground"):
            assert float(one[column]) == pytest.approx(float(other[column]), rel=1e-3, abs=1e-4)


def test_images_without_a_mask_have_a_prediction_and_no_dice(two_sets):
    out, _ = two_sets
    rows = list(csv.DictReader((out / f"{NAME}-2" / "images.csv").open()))
    masked = [row for row in rows if row["dice_disc"]]
    assert 0 < len(masked) < len(rows)
    assert all(row["share_disc"] and row["probability_healthy"] for row in rows)


def test_results_are_told_by_source(two_sets):
    out, _ = two_sets
    folder = out / f"{NAME}-2"
    sources = json.loads((folder / "sources.json").read_text())
    assert set(sources) == {"labels", "masks"}
    assert sources["masks"]["dice_disc"]["value"] is not None
    assert "dice_disc" not in sources["labels"]
    assert "By source:" in (folder / "metrics.md").read_text()
    shown = [line for line in (out / "overview.md").read_text().splitlines() if f"| {NAME}-2 |" in line]
    assert sorted(line.split(" | ")[1] for line in shown) == ["all", "labels", "masks"]
