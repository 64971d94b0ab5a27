"""Data sets that were merged from several: results of each source."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from image_measures import measure

from uml_tf.data.dataset import Row
from uml_tf.evaluation.evaluate import Evaluation
from uml_tf.evaluation.measure import measure_image
from uml_tf.evaluation.overview import overview_csv, overview_markdown, overview_rows
from uml_tf.evaluation.sources import (
    compared_groups,
    foreground_warnings,
    measures_by_source,
    places_by_source,
)
from uml_tf.evaluation.summary import summarise
from uml_tf.runtime.placement import Box, place


def _images(source, count, foreground, dice=None):
    values = {} if dice is None else {"dice_disc": dice}
    return [
        replace(measure(f"{source}{i}", i % 2, [3, 1], values=values), source=source, foreground=foreground)
        for i in range(count)
    ]


def test_one_source_is_no_source():
    assert places_by_source(["", "", ""]) == {}
    assert places_by_source(["origa", "origa"]) == {}
    found = places_by_source(["origa", "", "origa"])
    assert {name: list(places) for name, places in found.items()} == {"origa": [0, 2], "unnamed": [1]}


def test_much_foreground_on_a_source_without_masks_is_a_warning():
    drishti = _images("drishti", 10, 0.05, dice=0.95)
    (line,) = foreground_warnings({"drishti": drishti, "origa": _images("origa", 20, 0.21)})
    assert line.startswith("'origa' has no masks: 21.0 % of the pixels of these 20 images are predicted")
    assert "5.0 % of those of the images with a mask" in line
    assert foreground_warnings({"drishti": drishti, "origa": _images("origa", 20, 0.01)})
    assert not foreground_warnings({"drishti": drishti, "origa": _images("origa", 20, 0.12)})
    told_by_dice = _images("origa", 20, 0.21, dice=0.3)
    assert not foreground_warnings({"drishti": drishti, "origa": told_by_dice})


def test_one_source_is_warned_of_where_some_of_its_images_have_no_mask():
    masked, unmasked = _images("", 10, 0.05, dice=0.9), _images("", 30, 0.3)
    groups = compared_groups([*masked, *unmasked])
    assert [len(images) for images in groups.values()] == [10, 30]
    (line,) = foreground_warnings(groups)
    assert line.startswith("some images have no mask: 30.0 % of the pixels of these 30 images are predicted")
    assert not foreground_warnings(compared_groups([*masked, *_images("", 30, 0.1)]))
    assert not foreground_warnings(compared_groups(masked))
    assert not foreground_warnings(compared_groups(unmasked))
    # With several sources each is one group, whatever it has of masks.
    several = [*masked, *unmasked, *_images("origa", 4, 0.05)]
    assert list(compared_groups(several)) == ["unnamed", "origa"]


def test_where_nothing_has_a_mask_there_is_nothing_to_compare_with():
    assert not foreground_warnings({"a": _images("a", 5, 0.9), "b": _images("b", 5, 0.1)})


def _two_rows_of_disc():
    """Outputs for one image whose mask shows 12 pixels of rim and 4 of cup at the top of 8 x 8."""
    probability = np.zeros((8, 8, 3), np.float32)
    probability[..., 0] = 1
    probability[:2, :, 1:] = (2, 0)
    probability[0, :4, 2] = 3
    return {
        "class_probability": np.array([0.5, 0.5]),
        "class_belief": np.array([0.0, 0.0]),
        "class_uncertainty": np.array([1.0]),
        "mask_probability": probability,
        "mask_belief": np.zeros((8, 8, 3), np.float32),
        "mask_uncertainty": np.full((8, 8, 1), 0.25, np.float32),
    }


def test_a_measure_holds_the_predicted_shares_with_and_without_a_mask(phantoms):
    outputs, row = _two_rows_of_disc(), Row("a.png", "", "", "val", "", dataset="origa")
    found = measure_image(row, -1, outputs, None, phantoms.info, decision="refer")
    assert (found.source, found.decision, found.masked) == ("origa", "refer", False)
    assert found.foreground == found.shares["disc"] == 16 / 64
    assert (found.shares["cup"], found.shares["rim"]) == (4 / 64, 12 / 64)
    assert found.mask_uncertainty == 0.25
    masked = measure_image(row, -1, outputs, np.zeros((16, 16), np.uint8), phantoms.info)
    assert masked.masked
    assert masked.shares == found.shares


@pytest.mark.parametrize(
    ("fit", "box", "read", "shown"),
    [
        ("stretch", Box(10, 10, 20, 20), 400, 1),  # the part around what a locator found
        ("stretch", None, 3200, 1),  # it found nothing, and all is read
        ("crop", None, 1600, 1),
        ("letterbox", None, 3200, 0),  # both rows lie in the bar above the picture
    ],
)
def test_predicted_shares_are_of_the_whole_picture_however_much_of_it_is_read(
    phantoms, fit, box, read, shown
):
    placement = place(fit, (40, 80), (8, 8), box)
    row = Row("a.png", "", "", "val", "")
    found = measure_image(row, -1, _two_rows_of_disc(), None, phantoms.info, placement)
    assert found.foreground == found.shares["disc"] == pytest.approx(shown * 16 / 64 * read / 3200)
    assert found.shares["cup"] == pytest.approx(shown * 4 / 64 * read / 3200)


def test_the_overview_has_a_row_for_each_set_and_each_source():
    merged = [*_images("drishti", 6, 0.05, dice=0.95), *_images("origa", 4, 0.2)]
    sources = {name: summarise(images) for name, images in measures_by_source(merged).items()}
    alone = _images("", 3, 0.1, dice=0.5)
    rows = overview_rows(
        {
            "glaucoma": Evaluation("test", merged, summarise(merged), sources),
            "refuge": Evaluation("test", alone, summarise(alone)),
        }
    )
    lines = overview_markdown(rows, ["accuracy", "dice_disc"]).splitlines()
    starts = [line.split(" | ")[:5] for line in lines[2:]]
    assert starts == [
        ["| glaucoma", "all", "10", "6", "0.110"],
        ["| glaucoma", "drishti", "6", "6", "0.050"],
        ["| glaucoma", "origa", "4", "0", "0.200"],
        ["| refuge", "all", "3", "3", "0.100"],
    ]
    assert "0.950 (0.950 to 0.950)" in lines[3]
    assert lines[4].endswith("| not defined |")
    table = overview_csv(rows).splitlines()
    assert table[0] == "dataset,source,metric,value,low,high,images,subjects"
    (dice,) = [line for line in table if line.startswith("glaucoma,drishti,dice_disc,")]
    assert float(dice.split(",")[3]) == pytest.approx(0.95)
