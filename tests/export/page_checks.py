"""What the bundle's page says, compared with the prediction of the Python runtime."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import NamedTuple

import pytest
from page_driver import TITLES

from uml_tf.runtime.outline_words import outline_in_words
from uml_tf.runtime.placement import Box, place
from uml_tf.runtime.referral import FAMILIAR
from uml_tf.runtime.two_pass import TwoPass


class Tolerance(NamedTuple):
    """What may differ between browser and Python.

    A float file gives the same numbers. An int8 file rounds its input: a difference of 1e-5 in the resized
    image can move a pixel by a whole grey level. Other versions of a browser may decode JPEG and lossy WebP
    differently from OpenCV, by a few grey levels.
    """

    number: float
    area: float  # share of the image's pixels
    box: float  # in pixels of the network's input


# Of 1.6 million pixels, eight may lie where two classes are equal but for rounding; of a small image, none.
EXACT = Tolerance(1e-4, 5e-6, 0)
# A box is the most sensitive: one pixel of the network's input decides it.
ROUNDED = Tolerance(0.02, 0.02, 4)
# Evidence of an image unlike all others is scaled to almost none, so that at the borders of a region its
# classes are equal but for rounding.
EQUAL_BELOW = 0.01
UNLIKE = Tolerance(1e-4, 2e-3, 1)
STRAY_EDGES = {"float16": 0, "int8": 4}
"""Edges of boxes that may lie further off, of all images together: one stray pixel moves the boxes of its
region and of the union with others, each at two of their four numbers."""


def numbers(text):
    return [float(number) for number in re.findall(r"\d+\.\d+", text)]


def words(text):
    return re.sub(r"\d+\.\d+", "#", text)


def check_json(found, prediction, name, allowed, input_size):
    """Checks every entry; returns how many edges of boxes lie further off than is allowed."""
    stray = 0
    expected = prediction.to_dict(name)
    assert list(found) == list(expected)
    assert found["image"] == name
    assert found["class"] == expected["class"]
    for key in ("class_probability", "class_belief"):
        assert found[key] == pytest.approx(expected[key], abs=allowed.number)
    parts = [f"{part}_{kind}" for part in ("class", "mask") for kind in ("uncertainty", "confidence")]
    for key in (*parts, "familiarity"):
        assert found[key] == pytest.approx(expected[key], abs=allowed.number)
    assert list(found["pixels"]) == list(expected["pixels"])
    height, width = prediction.mask.shape
    if expected["familiarity"] < EQUAL_BELOW:
        allowed = allowed._replace(area=max(allowed.area, UNLIKE.area), box=max(allowed.box, UNLIKE.box))
    for region, value in expected["pixels"].items():
        assert found["pixels"][region]["area"] == pytest.approx(
            value["area"], abs=allowed.area * prediction.mask.size
        )
        assert list(found["pixels"][region]) == list(value)
        check_interval(found["pixels"][region].get("area_interval"), value.get("area_interval"), allowed)
        box = found["pixels"][region]["box"]
        assert (box is None) == (value["box"] is None)
        if box:
            for place, true, side, steps in zip(
                box, value["box"], (width, height) * 2, input_size[::-1] * 2, strict=True
            ):
                stray += abs(place - true) > allowed.box * max(1, side / steps)
    # A pixel that lies on one of its thresholds is 2 / 50 of the area apart.
    near = max(allowed.number, 1e-3)
    assert found.get("mask_quality") == pytest.approx(expected.get("mask_quality"), abs=near)
    if "vertical_cup_to_disc_ratio" in expected:
        # The heights of the two boxes decide it: of a small disc, one row that rounding moves is much of it.
        cup, disc = (found["pixels"][name]["box"] for name in ("cup", "disc"))
        ratio = cup[3] / disc[3] if cup else 0
        assert found["vertical_cup_to_disc_ratio"] == pytest.approx(ratio, abs=1e-6)
    return stray


class ReadAt(TwoPass):
    """A network in two passes that reads the part that the page read."""

    def __init__(self, model, box):
        super().__init__(model.network, model.locator)
        self.box = box

    def place(self, image):
        placement = super().place(image)
        around = replace(placement.around, box=self.box)
        return replace(place(self.card.fit, placement.original, self.image_size, self.box), around=around)


def at_the_same_part(found, prediction, model, path):
    """Python's answer for the part that the page read, where rounding in the locator moved it by a pixel."""
    own, true = found.get("roi"), prediction.roi
    assert (own is None) == (true is None)
    if own is None or own["box"] is None or true["box"] is None:
        assert own == true
        return prediction
    (left, top, width, height), (x, y, w, h) = own["box"], true["box"]
    rows, columns = (
        side / size for side, size in zip(prediction.mask.shape, model.locator.image_size, strict=True)
    )
    assert max(abs(left - x), abs(left + width - x - w)) <= columns + 1
    assert max(abs(top - y), abs(top + height - y - h)) <= rows + 1
    return ReadAt(model, Box(top, left, height, width)).predict(path)


def check_decision(found, prediction, model, path, allowed):
    """Decision and reason are equal, except for images closer to a threshold than the allowed difference."""
    distances = (
        prediction.class_confidence - model.card.accept_above,
        prediction.familiarity - FAMILIAR,
    )
    if min(map(abs, distances)) <= allowed.number:
        return
    assert found["decision"] == prediction.decision.action
    assert words(found["reason"]) == words(prediction.decision.reason)
    # Both are rounded, to three places or to two.
    rounding = 0.011 if found["decision"] == "ungradable" else 0.0011
    expected = numbers(prediction.decision.reason)
    assert numbers(found["reason"]) == pytest.approx(expected, abs=allowed.number + rounding)


def check_interval(found, expected, allowed):
    """Both have none, or ends that differ by no more than the area may."""
    assert (found is None) == (expected is None)
    if found:
        assert found == pytest.approx(expected, abs=1 + 10 * allowed.number * expected[1])


def area_text(region):
    """How the page writes an area, with its interval."""
    interval = region.get("area_interval")
    # JavaScript rounds halves up.
    ends = [f"{int(end + 0.5):,}" for end in interval or ()]
    return f"{region['area']:,}" + (f" ({ends[0]} to {ends[1]})" if ends else "")


def check_text(page, found, shape):
    """The page shows what its JSON says."""
    assert page.inner_text("#action") == TITLES[found["decision"]]
    assert page.get_attribute("#decision", "data-action") == found["decision"]
    assert page.inner_text("#reason") == f"{found['reason']}."
    name, number, confidence = re.split(", probability |, confidence ", page.inner_text("#class"))
    assert name == found["class"]
    assert float(confidence) == pytest.approx(found["class_confidence"], abs=6e-4)
    assert float(number) == pytest.approx(found["class_probability"][name], abs=6e-4)
    masses = {f"belief in {n}": b for n, b in found["class_belief"].items()}
    masses["uncertainty"] = found["class_uncertainty"]
    for shown in (
        page.get_attribute("#mass", "aria-label").split(", "),
        page.locator("#mass-legend li").all_inner_texts(),
    ):
        pairs = [part.strip().rsplit(" ", 1) for part in shown]
        assert {key: float(value) for key, value in pairs} == pytest.approx(masses, abs=6e-4)
    rows = [row.split("\t") for row in page.locator("#regions tr").all_inner_texts()]
    quality = found.get("mask_quality")
    assert rows == [
        [region, area_text(value), *([outline_in_words(quality, region)] if quality else [])]
        for region, value in found["pixels"].items()
    ]
    ratio = found.get("vertical_cup_to_disc_ratio")
    shown = page.inner_text("#ratio")
    if ratio is None:
        assert shown == ""
    else:
        interval = found.get("vertical_cup_to_disc_ratio_interval")
        assert words(shown) == "Vertical cup-to-disc ratio #" + (" (# to #)" if interval else "")
        assert numbers(shown) == pytest.approx([ratio, *(interval or ())], abs=6e-3)
    listed = ", ".join(f"{region} {value['area']} pixels" for region, value in found["pixels"].items())
    assert (
        page.get_attribute("#overlay", "aria-label")
        == f"{found['image']} with its regions outlined: {listed}"
    )
    (mean,) = numbers(page.get_attribute("#uncertainty", "aria-label"))
    assert mean == pytest.approx(found["mask_uncertainty"], abs=6e-4)
    size = page.evaluate(
        "['overlay', 'uncertainty'].map((id) => [document.getElementById(id).height, "
        "document.getElementById(id).width])"
    )
    assert size == [list(shape)] * 2
