"""A real evaluation of a small network, random but for its mask, on phantoms that name their site."""

from __future__ import annotations

import csv
import shutil
from dataclasses import replace

import pytest
from small_networks import SIZE, finding_network

from uml_tf.cli.main import main
from uml_tf.data.pipeline import load_examples
from uml_tf.runtime.mask_quality import DiceFit


def with_site(root, folder):
    """A copy of a prepared data set, with a column for the site and one for the age."""
    copy = shutil.copytree(root, folder)
    rows = list(csv.DictReader((copy / "manifest.csv").open()))
    for number, row in enumerate(rows):
        row["site"] = ("north", "south", "")[number % 3]
        row["age"] = str(30 + number)
    with (copy / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return copy


@pytest.fixture(scope="session")
def uml_tf_quietly():
    """Runs ``uml-tf`` in this process, for fixtures; its output is not looked at."""
    return lambda *arguments: main.main([*map(str, arguments)], standalone_mode=False)


@pytest.fixture(scope="session")
def evaluated(phantoms, tmp_path_factory, uml_tf_quietly):
    """(working folder, evaluation, data set), as `uml-tf evaluate` left them."""
    work = tmp_path_factory.mktemp("reported")
    data = with_site(phantoms.root, work / "data")
    info = phantoms.info
    network = finding_network(4, load_examples(phantoms, "train", SIZE))
    network.card = replace(
        network.card,
        image_classes=info.image_classes,
        pixel_classes=info.pixel_classes,
        unions=info.unions,
        accept_above=0.3,
        risk_target=0.05,
        risk_confidence=0.9,
        mask_quality={"rim": DiceFit(1.0, 0.0, 9), "disc": DiceFit(0.5, 1.0, 9)},
        dataset="phantoms <of> nobody",
    )
    network.save(work / "network.keras")
    uml_tf_quietly(
        "evaluate", work / "network.keras", "--data", data, "--split", "train", "--out", work / "evaluation"
    )
    return work, work / "evaluation", data
