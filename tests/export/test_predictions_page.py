"""``index.html`` of a folder's predictions, in a real browser."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from playwright.sync_api import sync_playwright
from small_networks import SIZE, finding_network

from uml_tf.data.pipeline import load_examples
from uml_tf.export.convert import convert
from uml_tf.export.kinds import KINDS
from uml_tf.runtime import main as device
from uml_tf.runtime.intervals import Interval
from uml_tf.runtime.mask_quality import DiceFit
from uml_tf.runtime.outline_words import outline_in_words
from uml_tf.runtime.predictions_page import Shown, most_doubtful, predictions_page

NASTY = '<img src=x onerror=alert(1)> & "#1" 50%.png'


@pytest.fixture(scope="module")
def fitted(phantoms, tmp_path_factory):
    """A network that finds the first region of phantoms, with quality and intervals of both."""
    network = finding_network(2, load_examples(phantoms, "val", SIZE))
    network.card = replace(
        network.card,
        mask_quality={"region 1": DiceFit(1.0, 0.0, 40), "region 2": DiceFit(1.0, 3.0, 40)},
        intervals={"area_region 1": Interval(0.5, 40), "area_region 2": Interval(None, 5)},
    )
    metadata, converted = convert(network, KINDS["tflite-none"])
    path = tmp_path_factory.mktemp("fitted") / "model.tflite"
    path.write_bytes(converted.files[0].pack(metadata))
    return path


@pytest.fixture(scope="module")
def predictions(fitted, phantoms, tmp_path_factory):
    """Folder with the predictions of a phantom, of three images of noise and of one file that is none."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "images").mkdir()
    (phantom, *_) = phantoms.split("val")
    pictures = [cv2.imread(str(phantoms.root / phantom.image))]
    pictures += [
        np.random.default_rng(seed).integers(0, 255, (6, 7, 3), dtype=np.uint8) for seed in (1, 2, 3)
    ]
    for picture, name in zip(pictures, ("a.png", "b.jpg", "c.png", NASTY), strict=True):
        picture = cv2.resize(picture, (160, 120), interpolation=cv2.INTER_CUBIC)
        (folder / "images" / name).write_bytes(cv2.imencode(name[-4:], picture)[1].tobytes())
    (folder / "images/broken.png").write_text("no image")
    assert device.main(fitted, [str(folder / "images"), "--out", str(folder / "out")]) == 1
    return folder / "out"


@pytest.fixture(scope="module")
def browser(chromium):
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def page(browser, predictions):
    """The page, opened as a file; at the end nothing was wrong, and nothing came from another address."""
    page, wrong, addresses = browser.new_page(viewport={"width": 900, "height": 700}), [], []
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: (wrong.append("a dialog"), dialog.dismiss()))
    page.on("request", lambda request: addresses.append(request.url))
    page.goto((predictions / "index.html").as_uri())
    yield page
    page.close()
    assert wrong == []
    assert all(address.startswith((predictions.as_uri(), "data:image/jpeg")) for address in addresses)


def _names(page):
    # A card just shown again has no rendered text (`content-visibility`) until the browser's next frame.
    return page.locator("#cards > li:not([hidden]) .name").all_text_contents()


def _focused(page):
    return page.evaluate("document.activeElement.querySelector('.name').textContent")


def _wait_for_focus(page, name):
    page.wait_for_function(
        "(name) => document.activeElement.querySelector('.name')?.textContent === name", arg=name
    )


def test_the_most_doubtful_come_first_with_their_names_as_they_are(page, predictions):
    rows = list(csv.DictReader(io.StringIO((predictions / "predictions.csv").read_text())))
    rows.sort(key=lambda row: float(row["class_confidence"] or -1))
    names = [row["image"].rsplit("/", 1)[1] for row in rows]
    assert _names(page) == names
    assert names[0] == "broken.png"
    assert NASTY in names
    widths = page.locator(".card img").evaluate_all("all => all.map((one) => one.naturalWidth)")
    assert widths == [160] * 4


def test_keys_move_filter_open_and_close(page):
    names = _names(page)
    page.keyboard.press("ArrowRight")
    assert _focused(page) == names[0]
    page.keyboard.press("ArrowRight")
    page.keyboard.press("End")
    assert _focused(page) == names[-1]
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    assert page.inner_text("#detail-name") == names[-2]
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#detail-name") == names[-1]
    loaded = "[...document.querySelectorAll('#detail img')].map((one) => one.complete && one.naturalWidth)"
    page.wait_for_function(f"{loaded}.every((width) => width === 160)")
    assert page.locator("#detail img").count() == 3
    page.keyboard.press("Escape")
    assert not page.locator("#detail").is_visible()
    # The browser first gives the focus back to the card that was opened; the event `close` comes after.
    _wait_for_focus(page, names[-1])
    page.keyboard.press("4")
    assert _names(page) == ["broken.png"]
    assert page.get_attribute("[data-filter=unreadable]", "aria-pressed") == "true"
    page.click("[data-filter='']")
    assert _names(page) == names


def test_every_outline_has_its_words_and_every_area_its_interval(page, predictions):
    page.locator("#cards .card:has-text('a.png')").click()
    rows = dict(row.split("\t") for row in page.locator("#detail tr").all_inner_texts())
    found = json.loads((predictions / "a.json").read_text())
    regions = found["pixels"]
    assert list(regions) == ["region 1", "region 2"]
    for name in regions:
        assert rows[f"outline of {name} (estimated Dice)"] == outline_in_words(found["mask_quality"], name)
    area = regions["region 1"]
    assert area["area"] > 0
    low, high = (f"{end:.0f}" for end in area["area_interval"])
    assert rows["area of region 1 (90 % interval)"] == f"{area['area']} pixels ({low} to {high})"
    assert rows["area of region 2"] == f"{regions['region 2']['area']} pixels"


def test_pictures_of_a_nasty_name_are_found_and_colours_follow_the_system(page):
    page.click("#cards .card:has-text('50%')")
    page.wait_for_function(
        "[...document.querySelectorAll('#detail img')]"
        ".every((one) => one.complete && one.naturalWidth === 160)"
    )
    backs = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        backs.append(sum(map(int, colour[4:-1].split(","))))
    assert backs[0] > 600 > 150 > backs[1]


def test_a_page_of_more_images_than_it_shows_says_so():
    answers = [{"decision": "refer", "class_confidence": place / 6000} for place in range(6000)]
    assert most_doubtful(answers) == list(range(5000))
    assert "The 0 most doubtful are shown; predictions.csv has all." in predictions_page(
        [], {"refer": 9}, "m"
    )


def _text(**parts):
    """The page of one answer with some parts."""
    answer = {
        "image": "a.png",
        "decision": "accept",
        "reason": "",
        "class": "x",
        "class_probability": {"x": 0.9},
        **dict.fromkeys(("class_confidence", "class_uncertainty", "familiarity"), 0.9),
        **parts,
    }
    return predictions_page([Shown(answer, "a", b"")], {"accept": 1}, "model")


REGION = {"area": 812, "box": [1, 2, 30, 40]}
IN_MM = REGION | {"area_mm2": 0.3248, "width_mm": 0.6, "height_mm": 0.8}


def test_sizes_are_in_millimetres_where_that_of_a_pixel_is_known():
    text = _text(pixels={"rim": REGION, "cup": IN_MM})
    assert "<th>area of rim</th><td>812 pixels</td>" in text
    assert "<th>area of cup</th><td>812 pixels, 0.3248 mm\N{SUPERSCRIPT TWO}, 0.6 x 0.8 mm</td>" in text
    assert "outline of" not in text
    assert "interval)" not in text


def test_measures_have_their_intervals_and_outlines_their_words():
    text = _text(
        pixels={
            "rim": REGION | {"area_interval": None},
            "cup": IN_MM | {"area_interval": [700.4, 1000.0]},
            "disc": REGION,
        },
        mask_quality={"rim": None, "cup": 0.71},
        vertical_cup_to_disc_ratio=0.5,
        vertical_cup_to_disc_ratio_interval=[0.414, 0.6],
    )
    mm2 = "mm\N{SUPERSCRIPT TWO}"
    sizes = f"812 pixels (700 to 1000), 0.3248 {mm2} (0.2802 to 0.4), 0.6 x 0.8 mm"
    for title, value in {
        "area of rim": "812 pixels",
        "area of cup (90 % interval)": sizes,
        "outline of rim (estimated Dice)": "not found",
        "outline of cup (estimated Dice)": "do not use it (0.71)",
        "outline of disc (estimated Dice)": "not checked",
        "vertical cup-to-disc ratio (90 % interval)": "0.50 (0.41 to 0.60)",
    }.items():
        assert f"<th>{title}</th><td>{value}</td>" in text
